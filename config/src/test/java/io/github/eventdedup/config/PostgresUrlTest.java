package io.github.eventdedup.config;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PostgresUrlTest {

    @ParameterizedTest
    @ValueSource(
            strings = {
                "jdbc:postgresql://db/x?password=hunter2",
                "jdbc:postgresql://db/x?user=dedup&password=hunter2",
                "jdbc:postgresql://db/x?password=",
                "jdbc:postgresql://db/x?sslpassword=a&password=hunter2",
                "jdbc:postgresql://dedup:hunter2@db/x"
            })
    void findsAPasswordInAUrl(String url) {
        assertThat(PostgresUrl.holdsPassword(url)).isTrue();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "jdbc:postgresql://db/x",
                "jdbc:postgresql://db/x?sslpassword=hunter2",
                "jdbc:postgresql://db/x?sslmode=verify-full&sslpassword=hunter2",
                "jdbc:postgresql://db/x?sslpassword=",
                "jdbc:postgresql://db/password=",
                "jdbc:postgresql://db:5432,other:5432/x?ApplicationName=a@b"
            })
    void takesOtherParametersForWhatTheyAre(String url) {
        assertThat(PostgresUrl.holdsPassword(url)).isFalse();
    }

    @Test
    void hidesThePasswordOfAKey() {
        assertThat(PostgresUrl.shown("jdbc:postgresql://db/x?sslpassword=hunter2&sslkey=k.p12"))
                .isEqualTo("jdbc:postgresql://db/x?sslpassword=***&sslkey=k.p12");
    }

    @Test
    void namesTheApplicationAndGivesUpAServerThatDoesNotAnswer() {
        assertThat(PostgresUrl.properties("u", "p", "a"))
                .containsEntry("user", "u")
                .containsEntry("password", "p")
                .containsEntry("ApplicationName", "a")
                .containsKeys("connectTimeout", "tcpKeepAlive");
    }
}
