package io.github.eventdedup.local.system;

import io.github.eventdedup.servers.ChildProcess;
import java.util.function.BooleanSupplier;

/**
 * One process of the system.
 *
 * @param name as users see it
 * @param port the one it is asked at, or 0
 * @param child the process, when this JVM started it
 * @param start spawns it and returns when it is ready; throws where it does not become so
 * @param answers asks it, for a few seconds at most; works for a process that another JVM started
 * @param stop ends it in good order
 */
public record ManagedProcess(
        String name, int port, ChildProcess child, Runnable start, BooleanSupplier answers, Runnable stop) {}
