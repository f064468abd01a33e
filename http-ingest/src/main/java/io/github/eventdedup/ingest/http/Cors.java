package io.github.eventdedup.ingest.http;

import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.eclipse.jetty.server.handler.CrossOriginHandler;

/** What pages of other origins may do from a browser. */
final class Cors {

    private Cors() {}

    /**
     * A handler to put in front of all others, so that refusals can be read by the page too. Preflights end in it, and so
     * need no key.
     *
     * @param origins as browsers send them, {@code https://host:port}
     */
    static CrossOriginHandler handler(List<String> origins) {
        CrossOriginHandler handler = new CrossOriginHandler();
        handler.setAllowedOriginPatterns(origins.stream().map(Pattern::quote).collect(Collectors.toSet()));
        handler.setAllowedMethods(Set.of("GET", "POST"));
        handler.setAllowedHeaders(Set.of("Content-Type", "Content-Encoding", "Authorization", "X-API-Key"));
        handler.setExposedHeaders(Set.of("Retry-After"));
        // Keys are sent by the page itself. Cookies would be sent for any user who is logged in somewhere.
        handler.setAllowCredentials(false);
        return handler;
    }
}
