/** Starts, watches and stops the processes of the system. */
package io.github.eventdedup.local.system;
