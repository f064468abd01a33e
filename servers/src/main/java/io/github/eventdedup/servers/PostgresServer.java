package io.github.eventdedup.servers;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.apache.commons.compress.compressors.xz.XZCompressorInputStream;
import org.postgresql.Driver;

/**
 * One Postgres as a child process, on loopback, with a database {@link #DATABASE} of its own. Durable: fsync and
 * synchronous_commit are on. Data stays in the directory: starting again there, after {@link #stop} or {@link #kill},
 * carries on where it was. The child is the postmaster itself, so that its pid is the one to kill. Thread-safe as far
 * as {@link ChildProcess} is.
 */
public final class PostgresServer implements AutoCloseable {

    /** The owner of everything in the database, a superuser. */
    public static final String USER = "dedup";

    /** The user's password. Not a secret: the server listens on loopback only and holds no one's data but its user's. */
    public static final String PASSWORD = "dedup";

    /** The database's name. */
    public static final String DATABASE = "dedup";

    private static final Duration START_TIMEOUT = Duration.ofMinutes(2);
    private static final String NO_SUCH_DATABASE = "3D000";

    private final Path directory;
    private final Path data;
    private final int port;
    private final ChildProcess child;

    /**
     * A server that ends with this JVM at the latest; its log is {@code postgres.log} in the directory.
     *
     * @param directory for the server's binaries and data, created where it is not there; for one server at a time
     * @param port on 127.0.0.1
     */
    public PostgresServer(Path directory, int port) {
        this(
                directory,
                port,
                new ChildProcess("postgres", directory.resolve("postgres.log"), ChildProcess::killAtExit));
    }

    /** A server that runs as the given child. */
    public PostgresServer(Path directory, int port, ChildProcess child) {
        this.directory = directory.toAbsolutePath();
        this.data = this.directory.resolve("data");
        this.port = port;
        this.child = child;
    }

    /**
     * Starts the server and returns when it takes connections. Takes the place of a postmaster that an earlier, killed
     * parent left running in the same directory.
     *
     * @throws ServerException where it does not start, with the log file's path; nothing is left running then
     */
    public void start() {
        try {
            Files.createDirectories(directory);
            unpack();
            initialize();
            Files.writeString(data.resolve("postgresql.conf"), settings());
            stopOrphan();
            run();
        } catch (IOException e) {
            throw new ServerException("postgres cannot use " + directory + ": " + e, e);
        }
    }

    private void run() {
        Instant deadline = Instant.now().plus(START_TIMEOUT);
        while (true) {
            child.start(new ProcessBuilder(command("postgres", "-D", data.toString())));
            try {
                child.awaitReady(START_TIMEOUT, this::answers);
                return;
            } catch (ServerException e) {
                // After kill -9 of a postmaster its children hold the shared memory for a moment, and keep the next one
                // from starting. A child that has ended by itself cannot be told from that: try until the time is up.
                boolean again =
                        !child.isAlive() && holdsSharedMemory() && Instant.now().isBefore(deadline);
                child.kill();
                if (!again) {
                    throw e;
                }
                ChildProcess.pause(Duration.ofMillis(300));
            }
        }
    }

    private boolean holdsSharedMemory() {
        try {
            List<String> lines = Files.readAllLines(child.log());
            return lines.subList(Math.max(0, lines.size() - 4), lines.size()).stream()
                    .anyMatch(line -> line.contains("shared memory block"));
        } catch (IOException e) {
            return false;
        }
    }

    /** Whether the server takes connections; asks it, for two seconds at most. Needs not have been started here. */
    public boolean answers() {
        try (Connection connection = connect(DATABASE)) {
            return connection.isValid(2);
        } catch (SQLException e) {
            return NO_SUCH_DATABASE.equals(e.getSQLState()) && createDatabase();
        }
    }

    private boolean createDatabase() {
        try (Connection connection = connect("postgres");
                Statement statement = connection.createStatement()) {
            statement.execute("CREATE DATABASE " + DATABASE);
            return true;
        } catch (SQLException e) {
            return false;
        }
    }

    private Connection connect(String database) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", USER);
        properties.setProperty("password", PASSWORD);
        properties.setProperty("connectTimeout", "2");
        properties.setProperty("socketTimeout", "2");
        // Not through DriverManager: a job in the same JVM deregisters the driver when it ends.
        return new Driver().connect(jdbcUrl(database), properties);
    }

    /** The JDBC URL of the database, without user and password. */
    public String jdbcUrl() {
        return jdbcUrl(DATABASE);
    }

    private String jdbcUrl(String database) {
        return "jdbc:postgresql://127.0.0.1:" + port + "/" + database;
    }

    /** The postmaster, started last. */
    public Process process() {
        return child.process();
    }

    /** {@code kill -9} of the postmaster. Its own children notice and end a moment later. */
    public void kill() {
        child.kill();
    }

    /** An orderly end: clients are disconnected, everything is written, nothing to recover at the next start. */
    public void stop() {
        // SIGTERM would wait for clients to leave by themselves; pg_ctl can send what Java cannot, SIGINT.
        child.stop(Duration.ofSeconds(30), process -> stopFast());
    }

    @Override
    public void close() {
        stop();
    }

    private void stopFast() {
        try {
            call("pg_ctl", "stop", "--mode=fast", "--no-wait", "-D", data.toString());
        } catch (IOException | ServerException e) {
            // pg_ctl knows no server that has only begun to start; that one has no clients to wait for either.
            child.process().destroy();
        }
    }

    /**
     * A postmaster of this directory that this object did not start: stopped. Where its pid has gone to an unrelated
     * process, Postgres would refuse to start until the file is deleted; naming ourselves in it instead makes it go on,
     * for a postmaster takes its parent's pid for a stale one, and keeps its check for shared memory in use.
     */
    private void stopOrphan() throws IOException {
        Path lock = data.resolve("postmaster.pid");
        if (!Files.exists(lock)) {
            return;
        }
        // Line 1 is the pid, line 3 when it started, in seconds.
        List<String> lines = new ArrayList<>(Files.readAllLines(lock));
        if (lines.size() < 3) {
            Files.delete(lock);
            return;
        }
        Optional<ProcessHandle> holder =
                ProcessHandle.of(Long.parseLong(lines.get(0).strip()));
        if (holder.isEmpty()) {
            return;
        }
        Instant recorded = Instant.ofEpochSecond(Long.parseLong(lines.get(2).strip()));
        boolean postmaster = holder.flatMap(it -> it.info().startInstant())
                .map(started -> Duration.between(started, recorded).abs().toSeconds() < 10)
                .orElse(false);
        if (postmaster) {
            call("pg_ctl", "stop", "--mode=fast", "--wait", "--timeout=60", "-D", data.toString());
        } else {
            lines.set(0, Long.toString(ProcessHandle.current().pid()));
            Files.write(lock, lines);
        }
    }

    private void initialize() throws IOException {
        if (Files.exists(data)) {
            return;
        }
        // Into a directory that gets its name when it is complete: a start cut short begins again.
        Path incomplete = directory.resolve("data.incomplete");
        FreshDirectory.delete(incomplete);
        Path passwordFile = Files.createTempFile(directory, "password", "");
        try {
            Files.writeString(passwordFile, PASSWORD);
            call(
                    "initdb",
                    "-D",
                    incomplete.toString(),
                    "--username=" + USER,
                    "--pwfile=" + passwordFile,
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--no-locale");
        } finally {
            Files.delete(passwordFile);
        }
        Files.move(incomplete, data, StandardCopyOption.ATOMIC_MOVE);
    }

    private String settings() {
        return """
                # Generated at every start.
                listen_addresses = '127.0.0.1'
                port = %d
                unix_socket_directories = ''
                max_connections = 40

                # A committed row outlives any crash.
                fsync = on
                synchronous_commit = on
                full_page_writes = on

                # Two cores and a laptop's memory. Checkpoints far apart: each one makes every page be logged in full again.
                shared_buffers = 128MB
                max_wal_size = 4GB
                checkpoint_timeout = 15min
                checkpoint_completion_target = 0.9

                log_timezone = 'UTC'
                timezone = 'UTC'
                """.formatted(port);
    }

    /** Unpacks the binaries from the class path, once for a directory. */
    private void unpack() throws IOException {
        Path binaries = directory.resolve("pgsql");
        if (Files.exists(binaries)) {
            return;
        }
        Path incomplete = directory.resolve("pgsql.incomplete");
        FreshDirectory.delete(incomplete);
        try (InputStream resource = PostgresServer.class.getResourceAsStream("/" + archive())) {
            if (resource == null) {
                throw new ServerException("postgres: no binaries for this machine on the class path (" + archive()
                        + "); servers/pom.xml names those there are");
            }
            TarArchiveInputStream tar = new TarArchiveInputStream(new XZCompressorInputStream(resource));
            for (TarArchiveEntry entry = tar.getNextEntry(); entry != null; entry = tar.getNextEntry()) {
                Path file = incomplete.resolve(entry.getName());
                if (entry.isDirectory()) {
                    Files.createDirectories(file);
                    continue;
                }
                Files.createDirectories(file.getParent());
                if (entry.isSymbolicLink()) {
                    Files.createSymbolicLink(file, Path.of(entry.getLinkName()));
                } else {
                    Files.copy(tar, file);
                    boolean executable = (entry.getMode() & 0100) != 0;
                    Files.setPosixFilePermissions(
                            file, PosixFilePermissions.fromString(executable ? "rwxr-xr-x" : "rw-r--r--"));
                }
            }
        }
        Files.move(incomplete, binaries, StandardCopyOption.ATOMIC_MOVE);
    }

    private static String archive() {
        String os = System.getProperty("os.name").toLowerCase(Locale.ROOT).startsWith("mac") ? "darwin" : "linux";
        String arch = System.getProperty("os.arch").equals("aarch64") ? "arm_64" : "x86_64";
        return "postgres-" + os + "-" + arch + ".txz";
    }

    /** Runs one of the tools to its end. */
    private void call(String... command) throws IOException {
        Process process =
                new ProcessBuilder(command(command)).redirectErrorStream(true).start();
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        try {
            if (!process.waitFor(60, TimeUnit.SECONDS) || process.exitValue() != 0) {
                process.destroyForcibly();
                throw new ServerException("postgres: " + command[0] + " failed: " + output.strip());
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
            throw new ServerException("interrupted while starting", e);
        }
    }

    /**
     * Postgres refuses to run as root. In a user namespace without a mapping no user is root, yet the files are still
     * ours; unshare replaces itself with the command, so the pid is that of the command.
     */
    private List<String> command(String... command) {
        List<String> line = new ArrayList<>();
        if (System.getProperty("user.name").equals("root")) {
            line.addAll(List.of("unshare", "--user"));
        }
        line.add(directory.resolve("pgsql").resolve("bin").resolve(command[0]).toString());
        line.addAll(List.of(command).subList(1, command.length));
        return line;
    }
}
