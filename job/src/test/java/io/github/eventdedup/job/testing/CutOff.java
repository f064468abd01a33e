package io.github.eventdedup.job.testing;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/** A way to a server on this machine that can be cut. Bytes pass unchanged while it is not. */
public final class CutOff implements AutoCloseable {

    private final int port;
    private final int target;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition thawed = lock.newCondition();
    private final Set<Socket> open = ConcurrentHashMap.newKeySet();
    private boolean frozen;
    private volatile ServerSocket listener;

    public CutOff(int port, int target) throws IOException {
        this.port = port;
        this.target = target;
        restore();
    }

    /** Connections break, and new ones are refused. */
    public void refuse() throws IOException {
        listener.close();
        for (Socket socket : open) {
            socket.close();
        }
    }

    /** A black hole: connections stay, new ones are taken, and no byte gets through. */
    public void freeze() throws IOException {
        lock.lock();
        try {
            frozen = true;
        } finally {
            lock.unlock();
        }
        listen();
    }

    /** Everything passes again, also what waited. */
    public void restore() throws IOException {
        lock.lock();
        try {
            frozen = false;
            thawed.signalAll();
        } finally {
            lock.unlock();
        }
        listen();
    }

    public int port() {
        return port;
    }

    private void listen() throws IOException {
        if (listener == null || listener.isClosed()) {
            listener = new ServerSocket(port, 50, InetAddress.getLoopbackAddress());
            daemon(this::accept);
        }
    }

    private void accept() {
        try {
            while (true) {
                connect(listener.accept());
            }
        } catch (IOException e) {
            // Closed.
        }
    }

    private void connect(Socket client) throws IOException {
        try {
            Socket server = new Socket(InetAddress.getLoopbackAddress(), target);
            open.add(client);
            open.add(server);
            daemon(() -> pass(client, server));
            daemon(() -> pass(server, client));
        } catch (IOException e) {
            // The server is away, and so is whoever stands in front of it.
            client.close();
        }
    }

    private void pass(Socket from, Socket to) {
        try (from;
                to) {
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            byte[] buffer = new byte[8192];
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                awaitThaw();
                out.write(buffer, 0, read);
            }
        } catch (IOException e) {
            // One side is gone; closing tells the other.
        } finally {
            open.remove(from);
            open.remove(to);
        }
    }

    private void awaitThaw() {
        lock.lock();
        try {
            while (frozen) {
                thawed.awaitUninterruptibly();
            }
        } finally {
            lock.unlock();
        }
    }

    private static void daemon(Runnable task) {
        Thread thread = new Thread(task, "cut-off");
        thread.setDaemon(true);
        thread.start();
    }

    @Override
    public void close() {
        try {
            restore();
            refuse();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
