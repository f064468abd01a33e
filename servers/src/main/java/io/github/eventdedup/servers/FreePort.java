package io.github.eventdedup.servers;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** Ports on loopback for servers that are about to listen. Thread-safe. */
public final class FreePort {

    /** The system forgets at once what it has given, and may give it again before the first server listens. */
    private static final Set<Integer> GIVEN = ConcurrentHashMap.newKeySet();

    private FreePort() {}

    /**
     * A port on which no process listens, and which this class has not returned before in this JVM.
     *
     * @throws ServerException where there is none
     */
    public static int find() {
        while (true) {
            try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
                if (GIVEN.add(socket.getLocalPort())) {
                    return socket.getLocalPort();
                }
            } catch (IOException e) {
                throw new ServerException("no port is free on 127.0.0.1: " + e.getMessage(), e);
            }
        }
    }
}
