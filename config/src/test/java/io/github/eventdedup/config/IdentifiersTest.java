package io.github.eventdedup.config;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class IdentifiersTest {

    @Test
    void quotesNames() {
        assertThat(Identifiers.postgres("order")).isEqualTo("\"order\"");
        assertThat(Identifiers.postgresTable("app.order")).isEqualTo("\"app\".\"order\"");
        assertThat(Identifiers.clickHouse("order")).isEqualTo("`order`");
        assertThat(Identifiers.clickHouseTable("app.order")).isEqualTo("`app`.`order`");
    }

    @Test
    void escapesQuotes() {
        assertThat(Identifiers.postgres("a\"b")).isEqualTo("\"a\"\"b\"");
        assertThat(Identifiers.clickHouse("a`b\\c")).isEqualTo("`a\\`b\\\\c`");
    }
}
