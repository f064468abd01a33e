package io.github.eventdedup.proof.system;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What {@code ./dedup status --json} reports of a system.
 *
 * @param pids of the processes by name, in the order they are started; empty where one does not run
 * @param streams those that have a job
 * @param supervisor {@code up}, {@code starting} (or stopping) or {@code down}
 * @param directories where what is on disk, by name
 * @param problems what does not run, in words
 */
public record SystemStatus(
        Map<String, Optional<Long>> pids,
        List<String> streams,
        String supervisor,
        Map<String, Path> directories,
        List<String> problems) {

    /** Listed among the processes where it does not run and others do. */
    private static final String SUPERVISOR = "supervisor";

    static SystemStatus parse(String json) throws IOException {
        JsonNode status = new ObjectMapper().readTree(json);
        Map<String, Optional<Long>> pids = new LinkedHashMap<>();
        for (JsonNode process : status.path("processes")) {
            String name = process.path("name").asText();
            JsonNode pid = process.path("pid");
            if (!name.equals(SUPERVISOR)) {
                pids.put(name, pid.isNumber() ? Optional.of(pid.asLong()) : Optional.empty());
            }
        }
        List<String> streams = new ArrayList<>();
        status.path("jobs").forEach(job -> streams.add(job.path("stream").asText()));
        Map<String, Path> directories = new LinkedHashMap<>();
        status.path("directories")
                .properties()
                .forEach(directory -> directories.put(
                        directory.getKey(), Path.of(directory.getValue().asText())));
        List<String> problems = new ArrayList<>();
        status.path("problems").forEach(problem -> problems.add(problem.asText()));
        return new SystemStatus(pids, streams, status.path("supervisor").asText(), directories, problems);
    }

    /** Of every process that is part of the system, whether or not it runs. */
    public List<String> processes() {
        return List.copyOf(pids.keySet());
    }

    /** The process of that name, where it is alive. */
    public Optional<ProcessHandle> process(String name) {
        return pids.getOrDefault(name, Optional.empty())
                .flatMap(ProcessHandle::of)
                .filter(ProcessHandle::isAlive);
    }

    /**
     * A directory of the system.
     *
     * @throws ProofException where the status does not name it
     */
    public Path directory(String name) {
        Path directory = directories.get(name);
        if (directory == null) {
            throw new ProofException("./dedup status names no directory of " + name);
        }
        return directory;
    }
}
