package io.github.eventdedup.servers;

import java.io.IOException;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;

/**
 * One ClickHouse in a child process, on loopback, with a database {@link #DATABASE} of its own, that speaks HTTP and
 * nothing else. Durable: an insert that was acknowledged is on disk. Data, deduplication tokens included, stay in the
 * directory: starting again there, after {@link #stop} or {@link #kill}, carries on where it was. Besides {@link #USER}
 * there is ClickHouse's user {@code default}, without a password, who may read everything and write nothing. Thread-safe
 * as far as {@link ChildProcess} is.
 */
public final class ClickHouseServer implements AutoCloseable {

    /** Who may do anything. */
    public static final String USER = "dedup";

    /** The user's password. Not a secret: the server listens on loopback only and holds no one's data but its user's. */
    public static final String PASSWORD = "dedup";

    /** The database's name. */
    public static final String DATABASE = "dedup";

    private static final Duration START_TIMEOUT = Duration.ofMinutes(2);
    private static final String UNKNOWN_DATABASE = "81";

    private final Path directory;
    private final Path engineDirectory;
    private final int httpPort;
    private final ChildProcess child;

    /**
     * A server that ends with this JVM at the latest; its log is {@code clickhouse.log} in the directory.
     *
     * @param directory for data and generated settings, created where it is not there; for one server at a time
     * @param engineDirectory where {@link ClickHouseEngine} is, or will be after the first start; servers share it
     * @param httpPort on 127.0.0.1
     */
    public ClickHouseServer(Path directory, Path engineDirectory, int httpPort) {
        this(
                directory,
                engineDirectory,
                httpPort,
                new ChildProcess("clickhouse", directory.resolve("clickhouse.log"), ChildProcess::killAtExit));
    }

    /** A server that runs as the given child. */
    public ClickHouseServer(Path directory, Path engineDirectory, int httpPort, ChildProcess child) {
        this.directory = directory.toAbsolutePath();
        this.engineDirectory = engineDirectory;
        this.httpPort = httpPort;
        this.child = child;
    }

    /**
     * Starts the server, after installing the engine where it is not installed, and returns when it answers.
     *
     * @throws ServerException where it does not, with the log file's path; nothing is left running then
     */
    public void start() {
        Path library = new ClickHouseEngine(engineDirectory, System.getenv()).install();
        // Whoever has the port might be a ClickHouse as well, and answer in this one's place.
        refuseTakenPort();
        try {
            Files.createDirectories(directory);
            Path settings = directory.resolve("config.xml");
            Files.writeString(settings, settings(settings));
            child.start(command(library, settings));
            child.awaitReady(START_TIMEOUT, this::answers);
        } catch (IOException e) {
            throw new ServerException("clickhouse cannot use " + directory + ": " + e, e);
        } catch (ServerException e) {
            child.kill();
            throw new ServerException(e.getMessage() + reason(), e);
        }
    }

    private ProcessBuilder command(Path library, Path settings) throws IOException {
        Path java = Path.of(System.getProperty("java.home"));
        ProcessBuilder builder = new ProcessBuilder(
                java.resolve("bin/java").toString(),
                // This JVM loads a library and waits.
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Xms8m",
                "-Xmx32m",
                // JNA's library is unpacked there, and stays when the process is killed.
                "-Djava.io.tmpdir=" + FreshDirectory.create(directory.resolve("tmp")),
                ClickHouseProcess.class.getName(),
                library.toString(),
                "clickhouse",
                "--config-file=" + settings,
                "--path=" + directory.resolve("data"),
                "--listen_host=127.0.0.1",
                "--http_port=" + httpPort,
                // The second query sleeps, a row after the other, and keeps the first one's listener up meanwhile: for
                // a
                // lifetime. Others would need the right to read files, which the user they run as must not have.
                "--query=SYSTEM START LISTEN HTTP; SELECT count() FROM numbers(1000000000) WHERE sleepEachRow(3)"
                        + " SETTINGS max_block_size = 1, max_threads = 1, max_execution_time = 0");
        builder.directory(directory.toFile());
        builder.environment().put("CLASSPATH", ChildProcess.classPath());
        builder.environment().keySet().removeIf(key -> key.startsWith("DEDUP_") || key.startsWith("CLICKHOUSE_"));
        // What a server's settings call timezone, this engine does not read.
        builder.environment().put("TZ", "UTC");
        // The engine handles SIGSEGV for its stack traces, the JVM for its safepoints; this lets both have it.
        builder.environment().put("LD_PRELOAD", java.resolve("lib/libjsig.so").toString());
        return builder;
    }

    private String settings(Path settings) {
        return """
                <!-- Generated at every start. -->
                <clickhouse>
                  <users_config>%1$s</users_config>
                  <logger>
                    <console>true</console>
                    <console_log_level>warning</console_log_level>
                  </logger>

                  <!-- Two cores and a laptop's memory. -->
                  <max_server_memory_usage>1073741824</max_server_memory_usage>
                  <mark_cache_size>16777216</mark_cache_size>
                  <uncompressed_cache_size>0</uncompressed_cache_size>
                  <background_pool_size>2</background_pool_size>
                  <background_schedule_pool_size>4</background_schedule_pool_size>
                  <background_common_pool_size>2</background_common_pool_size>
                  <background_fetches_pool_size>1</background_fetches_pool_size>
                  <background_move_pool_size>1</background_move_pool_size>
                  <max_thread_pool_free_size>4</max_thread_pool_free_size>

                  <!-- An acknowledged insert outlives a loss of power too, for some 10 ms an insert, of one row or a thousand. Its
                       deduplication token is written, not forced to disk: it outlives the process, not the machine. -->
                  <merge_tree>
                    <fsync_after_insert>1</fsync_after_insert>
                    <fsync_part_directory>1</fsync_part_directory>
                  </merge_tree>

                  <profiles><default/></profiles>
                  <quotas><default/></quotas>
                  <users>
                    <!-- Whoever gives no name. The engine runs the queries that it was started with as this user: the last grant is
                         theirs. -->
                    <default>
                      <no_password/>
                      <networks><ip>127.0.0.1</ip></networks>
                      <profile>default</profile>
                      <quota>default</quota>
                      <grants>
                        <query>GRANT SELECT, SHOW ON *.*</query>
                        <query>GRANT SYSTEM LISTEN ON *.*</query>
                      </grants>
                    </default>
                    <%2$s>
                      <password_sha256_hex>%3$s</password_sha256_hex>
                      <networks><ip>127.0.0.1</ip></networks>
                      <profile>default</profile>
                      <quota>default</quota>
                      <access_management>1</access_management>
                    </%2$s>
                  </users>
                </clickhouse>
                """.formatted(xml(settings.toString()), USER, sha256(PASSWORD));
    }

    /** Whether the server takes queries; asks it, for two seconds at most. Needs not have been started here. */
    public boolean answers() {
        try {
            HttpURLConnection answer = query(DATABASE, "SELECT 1");
            boolean unknownDatabase = UNKNOWN_DATABASE.equals(answer.getHeaderField("X-ClickHouse-Exception-Code"));
            return unknownDatabase ? createDatabase() : answer.getResponseCode() == 200;
        } catch (IOException e) {
            return false;
        }
    }

    /** Atomic is the default of a server; this engine's is made for files, and forgets. */
    private boolean createDatabase() throws IOException {
        return query("system", "CREATE DATABASE IF NOT EXISTS " + DATABASE + " ENGINE = Atomic")
                        .getResponseCode()
                == 200;
    }

    private HttpURLConnection query(String database, String sql) throws IOException {
        HttpURLConnection connection =
                (HttpURLConnection) URI.create(url()).toURL().openConnection();
        connection.setConnectTimeout(1000);
        connection.setReadTimeout(1000);
        connection.setRequestProperty("X-ClickHouse-User", USER);
        connection.setRequestProperty("X-ClickHouse-Key", PASSWORD);
        connection.setRequestProperty("X-ClickHouse-Database", database);
        connection.setRequestProperty("Connection", "close");
        connection.setDoOutput(true);
        try (OutputStream body = connection.getOutputStream()) {
            body.write(sql.getBytes(StandardCharsets.UTF_8));
        }
        return connection;
    }

    /** Where queries are sent by HTTP, without user and password. */
    public String url() {
        return "http://127.0.0.1:" + httpPort;
    }

    /** The server's process, started last. */
    public Process process() {
        return child.process();
    }

    /** {@code kill -9}. */
    public void kill() {
        child.kill();
    }

    /** Ends it at once: running queries are cut off, and what was acknowledged is on disk. */
    public void stop() {
        child.stop(Duration.ofSeconds(30));
    }

    @Override
    public void close() {
        stop();
    }

    private void refuseTakenPort() {
        try (ServerSocket socket = new ServerSocket(httpPort, 1, InetAddress.getLoopbackAddress())) {
            // Free, and free again.
        } catch (IOException e) {
            throw new ServerException(
                    "clickhouse cannot listen on 127.0.0.1:" + httpPort + ": " + e.getMessage() + "; see "
                            + child.log(),
                    e);
        }
    }

    /** What the engine said last, such as that another process uses the directory. */
    private String reason() {
        try {
            List<String> lines = Files.readAllLines(child.log());
            return lines.subList(Math.max(0, lines.size() - 5), lines.size()).stream()
                    .filter(line -> line.startsWith("Code: "))
                    .map(line -> ": " + line)
                    .findFirst()
                    .orElse("");
        } catch (IOException e) {
            return "";
        }
    }

    private static String xml(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;");
    }

    private static String sha256(String text) {
        try {
            return HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
