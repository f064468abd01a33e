package io.github.eventdedup.servers;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * ClickHouse itself, a library of 570 MB: an npm package, whose version and checksum a lock file in this jar names.
 * Installed once for a directory, which any number of servers share, and again when the lock file changes. Thread-safe,
 * and safe for several processes at once.
 */
public final class ClickHouseEngine {

    private static final int LINES_OF_NPM = 8;

    private final Path directory;
    private final Map<String, String> environment;
    private final byte[] lockFile;
    private final Path installed;

    /**
     * @param directory where the engine is or will be, created where it is not there
     * @param environment what npm is looked up in ({@code PATH}) and run with: {@link System#getenv()}
     */
    public ClickHouseEngine(Path directory, Map<String, String> environment) {
        this.directory = directory.toAbsolutePath();
        this.environment = Map.copyOf(environment);
        this.lockFile = resource("package-lock.json");
        this.installed = this.directory.resolve(digest(lockFile));
    }

    /** Whether {@link #install} has nothing to do; otherwise it downloads 180 MB, or takes them from npm's cache. */
    public boolean isInstalled() {
        return Files.exists(installed);
    }

    /**
     * Makes sure that the engine is there. Takes a fraction of a minute or several, by the network; waits where another
     * process does the same.
     *
     * @return the engine's library
     * @throws ServerException where there is no npm, or npm fails; what npm said last follows on
     *     lines of its own
     */
    public Path install() {
        // A lock on a file excludes other processes, and fails for a second thread of the same one.
        synchronized (ClickHouseEngine.class) {
            try {
                if (!isInstalled()) {
                    Files.createDirectories(directory);
                    try (FileChannel channel = FileChannel.open(
                                    directory.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                            FileLock lock = channel.lock()) {
                        if (!isInstalled()) {
                            download();
                        }
                    }
                }
                return library(installed);
            } catch (IOException e) {
                throw new ServerException("clickhouse: its engine cannot be installed in " + directory + ": " + e, e);
            }
        }
    }

    /** Into a directory that gets its name when it is complete: an install cut short begins again. */
    private void download() throws IOException {
        Path npm = npm().orElseThrow(() -> new ServerException(
                "clickhouse: its engine comes as an npm package, and there is no npm on the PATH: install npm"));
        deleteAllInstalled();
        // A name of its own: an npm whose parent was killed may still write to the one before.
        Path incomplete = Files.createTempDirectory(directory, "incomplete-");
        Files.write(incomplete.resolve("package.json"), resource("package.json"));
        Files.write(incomplete.resolve("package-lock.json"), lockFile);
        ProcessBuilder builder = new ProcessBuilder(
                        npm.toString(),
                        "ci",
                        "--ignore-scripts",
                        "--no-audit",
                        "--no-fund",
                        "--no-update-notifier",
                        "--loglevel=error")
                .directory(incomplete.toFile())
                .redirectErrorStream(true);
        builder.environment().clear();
        builder.environment().putAll(environment);
        Process process = builder.start();
        ChildProcess.killAtExit(process);
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        try {
            if (process.waitFor() != 0) {
                throw new ServerException(
                        "clickhouse: its engine cannot be installed, for npm failed:\n" + lastLines(output));
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
            throw new ServerException("interrupted while starting", e);
        }
        if (!Files.exists(library(incomplete))) {
            throw new ServerException(
                    "clickhouse: its engine cannot be installed, for npm left no " + library(incomplete));
        }
        Files.move(incomplete, installed, StandardCopyOption.ATOMIC_MOVE);
    }

    /** What an install cut short left, and engines of earlier versions, half a gigabyte each. */
    private void deleteAllInstalled() throws IOException {
        List<Path> directories;
        try (var found = Files.list(directory)) {
            directories = found.filter(Files::isDirectory).toList();
        }
        for (Path old : directories) {
            FreshDirectory.delete(old);
        }
    }

    private Optional<Path> npm() {
        return Arrays.stream(environment.getOrDefault("PATH", "").split(File.pathSeparator))
                .filter(entry -> !entry.isEmpty())
                .map(entry -> Path.of(entry, "npm").toAbsolutePath())
                .filter(file -> Files.isRegularFile(file) && Files.isExecutable(file))
                .findFirst();
    }

    private static Path library(Path installation) {
        return installation.resolve("node_modules/@chdb/lib-linux-x64-gnu/libchdb.so");
    }

    private static String lastLines(String output) {
        List<String> lines = output.lines().filter(line -> !line.isBlank()).toList();
        return String.join("\n", lines.subList(Math.max(0, lines.size() - LINES_OF_NPM), lines.size()));
    }

    private static byte[] resource(String name) {
        try (InputStream resource = ClickHouseEngine.class.getResourceAsStream("/clickhouse-engine/" + name)) {
            return resource.readAllBytes();
        } catch (IOException e) {
            throw new ServerException("clickhouse: cannot read " + name + " of this jar: " + e, e);
        }
    }

    private static String digest(byte[] content) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(content);
            return HexFormat.of().formatHex(digest, 0, 8);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
