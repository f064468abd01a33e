package io.github.eventdedup.config;

import java.util.Properties;
import java.util.regex.Pattern;

/** The JDBC URL of a Postgres database, without the password of a role. */
public final class PostgresUrl {

    private static final String CONNECT_TIMEOUT_SECONDS = "10";

    private static final Pattern PASSWORD =
            Pattern.compile("[^?]*\\?(.*&)?password=.*|[^/?]*//[^/?]*:[^/?]*@.*", Pattern.DOTALL);

    private static final Pattern KEY_PASSWORD = Pattern.compile("(sslpassword=)[^&]*");

    private PostgresUrl() {}

    /**
     * Accepts a URL.
     *
     * @throws IllegalArgumentException where it cannot be used; the message continues the name of the setting and does
     *     not quote the value, which may hold a password
     */
    public static void check(String url) {
        if (!url.startsWith("jdbc:postgresql://")) {
            throw new IllegalArgumentException("must be a JDBC URL such as " + Environment.DEFAULT_POSTGRES_URL);
        }
        if (holdsPassword(url)) {
            throw new IllegalArgumentException("holds a password; put it into " + Environment.POSTGRES_PASSWORD
                    + " or the file that " + Secret.fileVariable(Environment.POSTGRES_PASSWORD) + " names");
        }
    }

    /**
     * Whether the URL holds the password of a role: as the parameter {@code password}, or before the host. {@code
     * sslpassword}, which opens the key of a certificate, is a parameter of its own.
     */
    static boolean holdsPassword(String url) {
        return PASSWORD.matcher(url).matches();
    }

    /** The URL for logs and messages: without what opens the key of a client certificate. */
    public static String shown(String url) {
        return KEY_PASSWORD.matcher(url).replaceAll("$1***");
    }

    /**
     * The properties of a connection. The caller adds a {@code socketTimeout} that is longer than its longest statement.
     *
     * @param application the name that {@code pg_stat_activity} shows
     */
    public static Properties properties(String user, String password, String application) {
        Properties properties = new Properties();
        properties.setProperty("user", user);
        properties.setProperty("password", password);
        properties.setProperty("ApplicationName", application);
        properties.setProperty("connectTimeout", CONNECT_TIMEOUT_SECONDS);
        properties.setProperty("tcpKeepAlive", "true");
        return properties;
    }
}
