package io.github.eventdedup.ingest.testing;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Predicate;
import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.core.LogEvent;
import org.apache.logging.log4j.core.LoggerContext;
import org.apache.logging.log4j.core.appender.AbstractAppender;
import org.apache.logging.log4j.core.config.Property;

/** What is logged while this is open, by all threads and as the service's own configuration lets it through. */
public final class LogLines implements AutoCloseable {

    private final List<LogEvent> events = new CopyOnWriteArrayList<>();
    private final LoggerContext context = (LoggerContext) LogManager.getContext(false);
    private final AbstractAppender appender =
            new AbstractAppender("log-lines", null, null, false, Property.EMPTY_ARRAY) {
                @Override
                public void append(LogEvent event) {
                    events.add(event.toImmutable());
                }
            };

    public LogLines() {
        appender.start();
        context.getConfiguration().getRootLogger().addAppender(appender, null, null);
    }

    public List<String> all() {
        return of(event -> true);
    }

    public List<String> warnings() {
        return of(event -> event.getLevel().isMoreSpecificThan(Level.WARN));
    }

    /** Those that are of this kind. */
    public List<String> of(Predicate<LogEvent> kind) {
        return events.stream().filter(kind).map(LogLines::text).toList();
    }

    /** With the exception, where there is one. */
    private static String text(LogEvent event) {
        return event.getMessage().getFormattedMessage() + (event.getThrown() == null ? "" : " " + event.getThrown());
    }

    @Override
    public void close() {
        context.getConfiguration().getRootLogger().removeAppender("log-lines");
        appender.stop();
    }
}
