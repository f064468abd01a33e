package io.github.eventdedup.servers;

import com.sun.jna.Function;
import com.sun.jna.NativeLibrary;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/** What {@link ClickHouseServer} runs in a JVM of its own: the engine, until SIGTERM. */
final class ClickHouseProcess {

    private static final NativeLibrary LIBC = NativeLibrary.getInstance("c");

    private ClickHouseProcess() {}

    /** Takes the library's path, then the engine's command line. */
    public static void main(String[] args) {
        NativeLibrary engine = NativeLibrary.getInstance(args[0]);
        String[] commandLine = Arrays.copyOfRange(args, 1, args.length);

        // The engine runs until the end of its standard input: a pipe that nobody writes to, and that this process
        // alone
        // can end. Nothing of it is the parent's, so the parent's death means nothing to it.
        int[] pipe = new int[2];
        check(call("pipe", pipe), "pipe");
        check(call("dup2", pipe[0], 0), "dup2");
        check(call("close", pipe[0]), "close");

        AtomicBoolean ending = new AtomicBoolean();
        CountDownLatch ended = new CountDownLatch(1);
        Runtime.getRuntime()
                .addShutdownHook(new Thread(
                        () -> {
                            ending.set(true);
                            endInOrder(pipe[1], ended);
                        },
                        "end-in-order"));

        // What it returns says nothing; what went wrong the engine has printed.
        engine.getFunction("chdb_query_cmdline").invokePointer(new Object[] {commandLine.length, commandLine});
        ended.countDown();
        if (!ending.get()) {
            exit(1);
        }
    }

    private static void endInOrder(int pipe, CountDownLatch ended) {
        call("close", pipe);
        try {
            if (ended.await(60, TimeUnit.SECONDS)) {
                exit(0);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** At once: the destructors of a library of this size are no place to end in. */
    private static void exit(int status) {
        call("_exit", status);
    }

    private static int call(String name, Object... arguments) {
        Function function = LIBC.getFunction(name);
        return function.invokeInt(arguments);
    }

    private static void check(int returned, String call) {
        if (returned < 0) {
            throw new IllegalStateException(call + " failed");
        }
    }
}
