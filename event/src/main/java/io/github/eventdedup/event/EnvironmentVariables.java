package io.github.eventdedup.event;

import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;

/** What every process of the project does with environment variables before it reads its settings. */
public final class EnvironmentVariables {

    /**
     * Kubernetes and Docker's links set these in each container, for services that happen to be called
     * {@code dedup-…}: {@code DEDUP_INGEST_SERVICE_HOST}, {@code DEDUP_INGEST_PORT_8001_TCP_ADDR} and the like.
     */
    private static final Pattern SERVICE = Pattern.compile("\\w+_SERVICE_HOST|\\w+_SERVICE_PORT(_\\w+)?"
            + "|\\w+_PORT_\\d+_(TCP|UDP|SCTP)(_ADDR|_PORT|_PROTO|_START|_END|_PORT_START|_PORT_END)?");

    /** {@code DEDUP_INGEST_PORT=tcp://10.0.0.7:8001}. Only the value tells it from a setting. */
    private static final Pattern SERVICE_ADDRESS = Pattern.compile("(tcp|udp|sctp)://.*");

    /** {@code DEDUP_DB_NAME=/web/dedup-db}, of Docker's links. */
    private static final Pattern LINK_NAME = Pattern.compile("/[^/]+/[^/]+");

    private static final Pattern PASSWORD_IN_URL =
            Pattern.compile("[^?]*\\?(.*&)?password=.*|[^/?]*//[^/?]*:[^/?]*@.*", Pattern.DOTALL);

    private EnvironmentVariables() {}

    /**
     * The variables without those that an orchestrator has set for its services. A setting whose name such a variable
     * has taken reads as its default.
     */
    public static Map<String, String> settings(Map<String, String> environment) {
        Map<String, String> settings = new TreeMap<>(environment);
        settings.entrySet().removeIf(variable -> isSetByOrchestrator(variable.getKey(), variable.getValue()));
        return settings;
    }

    private static boolean isSetByOrchestrator(String name, String value) {
        return SERVICE.matcher(name).matches()
                || (name.endsWith("_PORT") && SERVICE_ADDRESS.matcher(value).matches())
                || (name.endsWith("_NAME") && LINK_NAME.matcher(value).matches());
    }

    /**
     * Whether a JDBC URL for Postgres holds a password: as the parameter {@code password}, or before the host.
     * {@code sslpassword}, which opens the key of a certificate, is a parameter of its own.
     */
    public static boolean holdsPassword(String jdbcUrl) {
        return PASSWORD_IN_URL.matcher(jdbcUrl).matches();
    }
}
