package io.github.eventdedup.proof.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class ExpectedWindowTest {

    private final ExpectedWindow rule = new ExpectedWindow(Duration.ofMillis(100));

    @Test
    void firstIsNewAndCopiesInsideTheWindowAreNot() {
        assertThat(rule.isNew(1000)).isTrue();
        assertThat(rule.isNew(1000)).isFalse();
        assertThat(rule.isNew(1099)).isFalse();
    }

    @Test
    void exactlyOneWindowLaterIsNewAgain() {
        assertThat(rule.isNew(1000)).isTrue();
        assertThat(rule.isNew(1100)).isTrue();
    }

    @Test
    void copiesDoNotProlongTheWindow() {
        assertThat(rule.isNew(1000)).isTrue();
        assertThat(rule.isNew(1060)).isFalse();
        assertThat(rule.isNew(1110)).isTrue();
        assertThat(rule.isNew(1160)).isFalse();
    }

    @Test
    void anOlderOneIsACopyHoweverOldItIs() {
        assertThat(rule.isNew(1000)).isTrue();
        assertThat(rule.isNew(901)).isFalse();
        assertThat(rule.isNew(900)).isFalse();
        assertThat(rule.isNew(0)).isFalse();
        // The window still runs from the first.
        assertThat(rule.isNew(1050)).isFalse();
        assertThat(rule.isNew(1100)).isTrue();
    }

    @Test
    void beginsAnew() {
        assertThat(rule.isNew(1000)).isTrue();
        rule.forget();
        assertThat(rule.isNew(1001)).isTrue();
        rule.startFrom(2000);
        assertThat(rule.isNew(2099)).isFalse();
        assertThat(rule.isNew(2100)).isTrue();
    }
}
