package io.github.eventdedup.event;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * A folder of stream definitions: the files in it whose names end with {@code .yaml}.
 *
 * @param streams by file, in the order of their names
 * @param notRead files and folders that look like stream definitions and are none by their names, such as {@code a.yml}
 */
public record StreamDirectory(Map<Path, StreamDefinition> streams, List<Path> notRead) {

    private static final String SUFFIX = ".yaml";

    /** Also copies and backups: {@code a.yaml.bak}, {@code a.yaml~}, {@code a.YAML}. */
    private static final Pattern LOOKS_LIKE_ONE = Pattern.compile(".*\\.ya?ml([^a-z].*)?");

    /**
     * Reads every definition in the folder.
     *
     * @throws InvalidStreamDefinitionException with what is wrong in every file, and where two do not go together
     * @throws IOException where the folder or a file cannot be read
     */
    public static StreamDirectory read(Path directory) throws IOException, InvalidStreamDefinitionException {
        Map<Path, StreamDefinition> streams = new LinkedHashMap<>();
        List<Path> notRead = new ArrayList<>();
        List<Path> files;
        try (var all = Files.list(directory)) {
            files = all.sorted().toList();
        }
        List<String> errors = new ArrayList<>();
        for (Path file : files) {
            String name = file.getFileName().toString();
            if (Files.isDirectory(file)) {
                // Mounted config maps keep their files in folders with two dots.
                if (!name.startsWith("..") && holdsOne(file)) {
                    notRead.add(file);
                }
            } else if (name.endsWith(SUFFIX)) {
                try {
                    streams.put(file, StreamDefinition.read(file));
                } catch (InvalidStreamDefinitionException e) {
                    errors.add(e.getMessage());
                }
            } else if (looksLikeOne(name)) {
                notRead.add(file);
            }
        }
        conflicts(directory, streams, errors);
        if (!errors.isEmpty()) {
            throw new InvalidStreamDefinitionException(errors);
        }
        return new StreamDirectory(streams, notRead);
    }

    /**
     * Reads one definition, for a process of one stream. The other files of its folder matter where they define the same
     * stream, or write into its topics; where they are not valid, the readers of the folder report it.
     *
     * @throws InvalidStreamDefinitionException with what is wrong in the file, or where it and another do not go together
     * @throws IOException where the file or its folder cannot be read
     */
    public static StreamDefinition readOne(Path file) throws IOException, InvalidStreamDefinitionException {
        StreamDefinition stream = StreamDefinition.read(file);
        Path directory = file.toAbsolutePath().getParent();
        List<Path> others;
        try (var all = Files.list(directory)) {
            others = all.filter(other -> other.toString().endsWith(SUFFIX)
                            && !other.getFileName().equals(file.getFileName()))
                    .sorted()
                    .toList();
        }
        List<String> errors = new ArrayList<>();
        for (Path other : others) {
            Map<Path, StreamDefinition> both = new LinkedHashMap<>();
            both.put(file, stream);
            try {
                both.put(other, StreamDefinition.read(other));
            } catch (IOException | InvalidStreamDefinitionException e) {
                continue;
            }
            conflicts(directory, both, errors);
        }
        if (!errors.isEmpty()) {
            throw new InvalidStreamDefinitionException(errors);
        }
        return stream;
    }

    private static boolean looksLikeOne(String name) {
        return LOOKS_LIKE_ONE.matcher(name.toLowerCase(Locale.ROOT)).matches();
    }

    private static boolean holdsOne(Path directory) {
        try (var files = Files.list(directory)) {
            return files.anyMatch(file -> looksLikeOne(file.getFileName().toString()));
        } catch (IOException e) {
            // Not read anyway.
            return false;
        }
    }

    /** Two streams must not write into one topic. */
    private static void conflicts(Path directory, Map<Path, StreamDefinition> streams, List<String> errors) {
        Map<String, String> uses = new TreeMap<>();
        streams.forEach((file, stream) -> {
            String other = uses.put(stream.stream(), "is the stream of " + file.getFileName());
            if (other != null) {
                errors.add("two files in " + directory + " define the stream '" + stream.stream() + "': "
                        + file.getFileName() + ", and it " + other + "; remove one");
            }
        });
        streams.forEach((file, stream) -> {
            for (String topic :
                    List.of(stream.duplicatesTopic(), stream.deadLettersTopic(), stream.handledLettersTopic())) {
                if (uses.containsKey(topic)) {
                    errors.add(file + ": the stream '" + stream.stream() + "' writes its own records into the topic '"
                            + topic + "', which " + uses.get(topic) + "; give one of the streams another name");
                }
            }
        });
    }

    /** What to say of the files that are not read; empty where there are none. */
    public List<String> warnings() {
        return notRead.stream()
                .map(path -> path
                        + (Files.isDirectory(path)
                                ? " holds stream definitions, and folders are not read: move the files to its parent"
                                : " is not read as a stream definition: the names of those end with " + SUFFIX))
                .toList();
    }
}
