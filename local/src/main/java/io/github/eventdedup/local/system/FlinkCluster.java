package io.github.eventdedup.local.system;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import io.github.eventdedup.servers.FreshDirectory;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** How Flink's processes are started here: its configuration directory and the command lines. */
public final class FlinkCluster {

    /** How many streams flink-conf/config.yaml has memory and slots for. */
    private static final int STREAMS_CONFIGURED = 2;

    /** What the classes of a job take, loaded for its submission and again to run it. */
    private static final int METASPACE_MB = 64;

    private static final int JOBMANAGER_HEAP_MB = 32;
    private static final int TASKMANAGER_HEAP_MB = 64;

    private static final String RESULT = "BASH_JAVA_UTILS_EXEC_RESULT:";

    private final Layout layout;
    private final Path conf;

    /** By the command that computes them. Kept: a process that died is started again without waiting for another JVM. */
    private final Map<String, List<String>> resourceParameters = new ConcurrentHashMap<>();

    public FlinkCluster(Layout layout) {
        this.layout = layout;
        this.conf = layout.flink().resolve("conf");
    }

    /** Writes the configuration: the project's, and what is different about this machine. */
    void configure() {
        Path source = layout.home().resolve("flink-conf");
        try {
            Files.createDirectories(conf);
            for (String file : List.of("log4j.properties", "log4j-cli.properties")) {
                Files.copy(source.resolve(file), conf.resolve(file), StandardCopyOption.REPLACE_EXISTING);
            }
            Files.writeString(
                    conf.resolve("config.yaml"),
                    Files.readString(source.resolve("config.yaml")) + overrides() + sizes());
            Files.writeString(conf.resolve("zoo.cfg"), """
                    tickTime=2000
                    dataDir=%s
                    clientPort=%d
                    clientPortAddress=127.0.0.1
                    admin.enableServer=false
                    4lw.commands.whitelist=ruok
                    """.formatted(layout.zooKeeper(), layout.zooKeeperPort()));
        } catch (IOException e) {
            throw new LocalException("cannot write Flink's configuration to " + conf + ": " + e, e);
        }
    }

    /** High availability is for the time that this system runs: what starts it anew submits the jobs that are built now. */
    void forgetJobs() {
        for (Path directory : List.of(layout.highAvailability(), layout.zooKeeper())) {
            try {
                FreshDirectory.create(directory);
            } catch (IOException e) {
                throw new LocalException("cannot use " + directory + ": " + e, e);
            }
        }
    }

    private String overrides() {
        return """

                # Appended by ./dedup: this machine's ports and directories.
                rest.port: %d
                rest.bind-port: "%d"
                blob.server.port: "0"
                taskmanager.rpc.port: "0"
                taskmanager.data.port: 0
                high-availability.zookeeper.quorum: 127.0.0.1:%d
                high-availability.storageDir: %s
                execution.checkpointing.dir: %s
                execution.checkpointing.savepoint-dir: %s
                taskmanager.log.path: %s
                """.formatted(
                        layout.flinkPort(),
                        layout.flinkPort(),
                        layout.zooKeeperPort(),
                        quoted(layout.highAvailability().toUri().toString()),
                        quoted(layout.checkpoints().toUri().toString()),
                        quoted(layout.savepoints().toUri().toString()),
                        // What the web UI shows.
                        quoted(layout.log("taskmanager").toString()));
    }

    /** The configuration is for two streams. Each further one has classes, state, threads and slots of its own. */
    private String sizes() {
        int further = Math.max(0, layout.streams().size() - STREAMS_CONFIGURED);
        if (further == 0) {
            return "";
        }
        StringBuilder sizes = new StringBuilder("\n# Appended by ./dedup: for more than two streams.\n");
        megabytes(sizes, "/jobmanager/memory/jvm-metaspace/size", further * METASPACE_MB);
        megabytes(sizes, "/jobmanager/memory/process/size", further * (METASPACE_MB + JOBMANAGER_HEAP_MB));
        megabytes(sizes, "/taskmanager/memory/jvm-metaspace/size", further * METASPACE_MB);
        megabytes(sizes, "/taskmanager/memory/process/size", further * (METASPACE_MB + TASKMANAGER_HEAP_MB));
        String slots = "/taskmanager/numberOfTaskSlots";
        int configured = source().at(slots).asInt();
        sizes.append("taskmanager.numberOfTaskSlots: ")
                .append(configured + further * configured / STREAMS_CONFIGURED)
                .append('\n');
        return sizes.toString();
    }

    private void megabytes(StringBuilder sizes, String pointer, int more) {
        String configured = source().at(pointer).asText();
        if (!configured.matches("\\d+m")) {
            throw new LocalException("flink-conf/config.yaml: " + key(pointer)
                    + ": give a size in megabytes, as in 768m," + " not '" + configured + "'");
        }
        int size = Integer.parseInt(configured.substring(0, configured.length() - 1));
        sizes.append(key(pointer)).append(": ").append(size + more).append("m\n");
    }

    private static String key(String pointer) {
        return pointer.substring(1).replace('/', '.');
    }

    /** The configuration as it is in the project. */
    private JsonNode source() {
        return read(layout.home().resolve("flink-conf/config.yaml"));
    }

    /** YAML's single quotes take everything literally but themselves. */
    private static String quoted(String text) {
        return "'" + text.replace("'", "''") + "'";
    }

    /** Flink's own build of ZooKeeper. */
    ProcessBuilder zooKeeper() {
        return Layout.process(
                command(
                        "zookeeper",
                        List.of("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx64m"),
                        "org.apache.flink.runtime.zookeeper.FlinkZooKeeperQuorumPeer",
                        List.of("--zkConfigFile", conf.resolve("zoo.cfg").toString(), "--peerId", "1")),
                Map.of());
    }

    /** Whether it reports that it is healthy. */
    boolean zooKeeperAnswers() {
        try (Socket socket = new Socket()) {
            socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), layout.zooKeeperPort()), 2000);
            socket.setSoTimeout(2000);
            socket.getOutputStream().write("ruok".getBytes(StandardCharsets.US_ASCII));
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.US_ASCII).equals("imok");
        } catch (IOException e) {
            return false;
        }
    }

    ProcessBuilder jobManager() {
        return daemon(
                "jobmanager",
                "GET_JM_RESOURCE_PARAMS",
                "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint");
    }

    ProcessBuilder taskManager() {
        return daemon(
                "taskmanager", "GET_TM_RESOURCE_PARAMS", "org.apache.flink.runtime.taskexecutor.TaskManagerRunner");
    }

    /** Flink's own command line, for the terminal it was called from. */
    public ProcessBuilder commandLine(List<String> arguments) {
        if (!Files.exists(conf.resolve("config.yaml"))) {
            throw new LocalException("there is no system in " + layout.data() + ": start one with ./dedup up");
        }
        List<String> command = new ArrayList<>();
        command.add(Layout.java());
        command.addAll(javaOptions("client"));
        command.add("-Dlog4j.configurationFile=" + conf.resolve("log4j-cli.properties"));
        command.addAll(List.of("-cp", classPath(), "org.apache.flink.client.cli.CliFrontend"));
        command.addAll(arguments);
        return withConfiguration(command).inheritIO();
    }

    private ProcessBuilder daemon(String name, String resources, String mainClass) {
        List<String> result = resourceParameters.computeIfAbsent(resources, this::resourceParameters);
        List<String> options = new ArrayList<>(words(result.get(0)));
        options.addAll(javaOptions(name));
        List<String> arguments = new ArrayList<>(List.of("--configDir", conf.toString()));
        arguments.addAll(words(result.get(1)));
        return withConfiguration(command(name, options, mainClass, arguments));
    }

    /** The command line of a process that stays, with a log and temporary files of its own. */
    private List<String> command(String name, List<String> options, String mainClass, List<String> arguments) {
        List<String> command = new ArrayList<>();
        command.add(Layout.java());
        command.addAll(options);
        command.add("-Dlog4j.configurationFile=" + conf.resolve("log4j.properties"));
        // Also where RocksDB works and uploads go, unless configured otherwise.
        command.add(layout.temporaryFiles(name));
        if (!name.equals("taskmanager")) {
            // The file that the web UI shows. Given to a TaskManager, RocksDB would write one log beside it for each
            // task,
            // named like the whole path of the task's state: too long for a file system where the path is.
            command.add("-Dlog.file=" + layout.log(name));
        }
        command.addAll(List.of("-cp", classPath(), mainClass));
        command.addAll(arguments);
        return command;
    }

    private ProcessBuilder withConfiguration(List<String> command) {
        ProcessBuilder builder = Layout.process(command, layout.jobEnvironment());
        builder.environment().put("FLINK_CONF_DIR", conf.toString());
        return builder;
    }

    private String classPath() {
        return layout.built("local/flink/target/lib") + "/*";
    }

    /** The options that Flink's shell scripts would have taken from the configuration. */
    private List<String> javaOptions(String process) {
        JsonNode options = configuration().at("/env/java/opts");
        List<String> words = new ArrayList<>(words(options.path("all").asText()));
        words.addAll(words(options.path(process).asText()));
        return words;
    }

    private JsonNode configuration() {
        return read(conf.resolve("config.yaml"));
    }

    private static JsonNode read(Path file) {
        try {
            return new YAMLMapper().readTree(file.toFile());
        } catch (IOException e) {
            throw new LocalException("cannot read Flink's configuration in " + file + ": " + e.getMessage(), e);
        }
    }

    /** How Flink divides the configured memory: JVM flags, then -D settings; computed by the tool its scripts use. */
    private List<String> resourceParameters(String command) {
        ProcessBuilder builder = withConfiguration(List.of(
                Layout.java(),
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-Dlog4j.configurationFile=" + conf.resolve("log4j-cli.properties"),
                "-cp",
                classPath(),
                "org.apache.flink.runtime.util.bash.BashJavaUtils",
                command,
                "--configDir",
                conf.toString()));
        String refusal = "Flink does not accept " + conf.resolve("config.yaml");
        String output = Layout.output(builder, refusal);
        List<String> result = output.lines()
                .filter(line -> line.startsWith(RESULT))
                .map(line -> line.substring(RESULT.length()).strip())
                .toList();
        if (result.size() != 2) {
            throw new LocalException(refusal + ":" + System.lineSeparator() + output);
        }
        return result;
    }

    private static List<String> words(String text) {
        return text.isBlank() ? List.of() : Arrays.asList(text.strip().split("\\s+"));
    }

    /** Has to be said with every submission over REST, which otherwise takes 1, whatever is configured. */
    int parallelism() {
        return configuration().at("/parallelism/default").asInt(1);
    }
}
