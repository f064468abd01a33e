package io.github.eventdedup.config;

import java.lang.reflect.Proxy;
import java.util.List;

/** The signals that ask a process to end. */
public final class Termination {

    private Termination() {}

    /**
     * Runs the action when the process gets SIGTERM or SIGINT, each time it does. The action must not block, and ends
     * the process itself.
     *
     * <p>Not a shutdown hook: after SIGTERM a JVM ends with 143, which supervisors take for a crash, and a hook could
     * change that only by halting, which leaves behind what libraries have unpacked in the temporary folder. JEP 260
     * keeps {@code sun.misc.Signal} open for want of another way; called by name, because the compiler's warning about
     * it cannot be suppressed.
     */
    public static void onSignal(Runnable action) {
        for (String name : List.of("TERM", "INT")) {
            try {
                Class<?> signal = Class.forName("sun.misc.Signal");
                Class<?> handler = Class.forName("sun.misc.SignalHandler");
                Object request = Proxy.newProxyInstance(
                        Termination.class.getClassLoader(), new Class<?>[] {handler}, (proxy, method, arguments) -> {
                            action.run();
                            return null;
                        });
                signal.getMethod("handle", signal, handler)
                        .invoke(null, signal.getConstructor(String.class).newInstance(name), request);
            } catch (ReflectiveOperationException e) {
                throw new IllegalStateException("this Java cannot handle the signal " + name, e);
            }
        }
    }
}
