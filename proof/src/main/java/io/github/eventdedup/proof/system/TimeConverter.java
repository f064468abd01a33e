package io.github.eventdedup.proof.system;

import io.github.eventdedup.config.Durations;
import java.time.Duration;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** A time such as 500ms, 30s, 2m or 1h on a command line. */
public final class TimeConverter implements ITypeConverter<Duration> {

    @Override
    public Duration convert(String text) {
        return Durations.parse(text)
                .orElseThrow(() -> new TypeConversionException("'" + text + "' is not a time such as 30s or 2m"));
    }
}
