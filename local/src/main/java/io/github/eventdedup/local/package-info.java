/**
 * The whole system on one machine without containers: each part a process of its own, watched by one supervisor, and
 * the command {@code ./dedup}. The command is the interface.
 */
package io.github.eventdedup.local;
