package io.github.eventdedup.servers;

import com.sun.jna.NativeLibrary;
import java.util.Arrays;

/** What {@link ClickHouseServer} runs in a JVM of its own: the engine, until SIGTERM. */
final class ClickHouseProcess {

    private ClickHouseProcess() {}

    /** Takes the library's path, then the engine's command line. */
    public static void main(String[] args) {
        NativeLibrary engine = NativeLibrary.getInstance(args[0]);
        NativeLibrary libc = NativeLibrary.getInstance("c");
        String[] commandLine = Arrays.copyOfRange(args, 1, args.length);
        // At once: what was acknowledged is on disk, and the destructors of a library of this size are no place to end
        // in.
        Runtime.getRuntime()
                .addShutdownHook(new Thread(() -> libc.getFunction("_exit").invokeInt(new Object[] {0}), "exit"));

        // What it returns says nothing; what went wrong the engine has printed.
        engine.getFunction("chdb_query_cmdline").invokePointer(new Object[] {commandLine.length, commandLine});
        libc.getFunction("_exit").invokeInt(new Object[] {1});
    }
}
