/** What the relay is told: its settings, and when to stop. */
package io.github.eventdedup.relay.settings;
