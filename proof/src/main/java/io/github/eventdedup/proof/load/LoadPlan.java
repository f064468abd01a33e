package io.github.eventdedup.proof.load;

import java.util.SplittableRandom;

/**
 * What a load sends, copy by copy: which copies are the first of an event, which send one again, and which are not valid.
 * A function of the seed and the copy's number alone, so nothing that was sent has to be remembered. Immutable.
 *
 * <p>Events are numbered by their first copy.
 */
final class LoadPlan {

    /** What a copy is. */
    enum Kind {
        /** The first copy of a new event. */
        FIRST,
        /** Of an event that was sent before. */
        AGAIN,
        /** Of the event that is sent just before, at the same moment. */
        TWIN,
        /** No event: to be refused. */
        INVALID
    }

    /** The farthest that a copy can be from one before of the same event; near ones are as likely as far ones. */
    private static final double FARTHEST = 1e6;

    /** Of the copies that are not the first. */
    private static final double TWINS = 0.2;

    private final long base;
    private final double duplicates;
    private final double invalid;

    /**
     * @param duplicates how much of all copies is not the first of its event, 0 to 1
     * @param invalid how much of all copies is not valid, 0 to 1
     */
    LoadPlan(long seed, double duplicates, double invalid) {
        base = new SplittableRandom(seed).nextLong();
        this.duplicates = duplicates;
        this.invalid = invalid;
    }

    Kind kind(long copy) {
        return copy == 0 ? Kind.FIRST : kind(random(copy));
    }

    private Kind kind(SplittableRandom random) {
        double chance = random.nextDouble();
        if (chance < invalid) {
            return Kind.INVALID;
        }
        if (chance >= invalid + duplicates) {
            return Kind.FIRST;
        }
        return chance < invalid + duplicates * TWINS ? Kind.TWIN : Kind.AGAIN;
    }

    /** The event that a valid copy is of, by the number of its first copy. */
    long event(long copy) {
        long at = copy;
        while (at > 0) {
            SplittableRandom random = random(at);
            Kind kind = kind(random);
            if (kind == Kind.FIRST) {
                return at;
            }
            // Logarithmically uniform, for the copies that are sent again; the one before it, for all else.
            at -= kind == Kind.AGAIN ? (long) Math.pow(Math.min((double) at, FARTHEST), random.nextDouble()) : 1;
        }
        return at;
    }

    private SplittableRandom random(long copy) {
        return new SplittableRandom(base + copy);
    }
}
