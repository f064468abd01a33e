package io.github.eventdedup.proof.prove.faults;

import io.github.eventdedup.proof.prove.faults.Fault.Kind;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.Deque;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;

/**
 * Which faults come when: decided by the seed alone, so that a run can be repeated as far as a computer's timing lets it.
 * Kinds and targets come from shuffled decks rather than from dice: a long run meets all of them.
 */
public final class FaultPlan {

    /** Of each ten faults. The dear ones are rare, for the time they take is taken from the others. */
    private static final Map<Kind, Integer> SHARES = Map.of(
            Kind.KILL,
            2,
            Kind.PAUSE,
            2,
            Kind.PAIRS,
            2,
            Kind.RESCALE,
            1,
            Kind.RESTART,
            1,
            Kind.REJECT,
            1,
            Kind.CLOCK,
            1);

    /** Kinds that wait for the start of a JVM or for a long pause, the shortest first. */
    private static final List<Kind> LONG = List.of(Kind.REJECT, Kind.PAIRS, Kind.RESTART);

    /** Less than the window by far, so that each event stays one; and what NTP corrects. */
    private static final List<Integer> CLOCK_STEPS = List.of(90, -90, 3600, -3600);

    /** What a job has that was never rescaled, and gets again where everything is restarted. */
    private static final int CONFIGURED_PARALLELISM = 2;

    /** Below it, pauses and gaps shrink with the run, so that several faults fit. */
    private static final int SHORT_SECONDS = 120;

    private final Random random;
    private final int total;
    private final Set<Kind> kinds;
    private final List<String> processes;
    private final List<String> streams;
    private final Deque<Kind> kindDeck = new ArrayDeque<>();

    /** One for each kind: what was killed is still to be paused. */
    private final Map<Kind, Deque<String>> processDecks = new EnumMap<>(Kind.class);

    private final Map<Kind, Deque<String>> streamDecks = new EnumMap<>(Kind.class);
    private final Deque<Integer> stepDeck = new ArrayDeque<>();
    private final Map<String, Integer> parallelism = new HashMap<>();

    private FaultPlan(long seed, int total, Set<Kind> kinds, List<String> processes, List<String> streams) {
        this.random = new Random(seed);
        this.total = total;
        this.kinds = kinds;
        this.processes = processes;
        this.streams = streams;
        // At first each kind once, those that take long last: a few minutes have room for all others.
        List<Kind> first = new ArrayList<>(EnumSet.copyOf(kinds));
        Collections.shuffle(first, random);
        first.sort(Comparator.comparing(LONG::indexOf));
        kindDeck.addAll(first);
    }

    /**
     * Makes the plan.
     *
     * @param seconds how long the load lasts
     * @param processes that may be killed or paused
     * @param streams whose jobs may be rescaled
     * @return the faults in the order they begin
     */
    public static List<Fault> of(
            long seed, int seconds, Set<Kind> kinds, List<String> processes, List<String> streams) {
        return kinds.isEmpty() ? List.of() : new FaultPlan(seed, seconds, kinds, processes, streams).faults();
    }

    /** When the last fault must be over: what comes after it is to be seen, and so is that it becomes calm. */
    public static int end(int seconds) {
        return seconds - Math.min(30, seconds / 4);
    }

    /** How long a fault takes until the system works again, supposing the usual. */
    public static int usualSeconds(Fault fault) {
        return switch (fault.kind()) {
            case KILL -> 0;
            case PAUSE, PAIRS, CLOCK -> fault.pauseSeconds();
            case REJECT -> fault.pauseSeconds() + 12;
            case RESCALE -> 8;
            case RESTART -> 40;
        };
    }

    private List<Fault> faults() {
        List<Fault> faults = new ArrayList<>();
        int second = Math.min(15, total / 6);
        // Where what is drawn takes too long for what is left, something shorter is tried.
        for (int misses = 0; misses < 20; ) {
            boolean early = !faults.isEmpty() && random.nextInt(3) == 0;
            int begin = faults.isEmpty() ? second : second + gap(early);
            Fault fault = fault(begin, early);
            int over = begin + usualSeconds(fault);
            if (over > end(total)) {
                misses++;
                continue;
            }
            faults.add(fault);
            if (fault.kind() == Kind.RESCALE) {
                parallelism.put(fault.stream(), fault.parallelism());
            } else if (fault.kind() == Kind.RESTART) {
                parallelism.clear();
            }
            second = over;
        }
        return faults;
    }

    /** Early: into the recovery from the one before, which takes some ten seconds as a rule. */
    private int gap(boolean early) {
        int longest = early ? 8 : 25;
        int shortest = early ? 1 : 10;
        return Math.max(1, scaled(between(shortest, longest)));
    }

    private Fault fault(int second, boolean early) {
        Kind kind = drawn(kindDeck, kinds());
        int step = 0;
        List<String> killed = new ArrayList<>();
        List<String> paused = new ArrayList<>();
        String stream = "";
        Deque<String> processDeck = processDecks.computeIfAbsent(kind, unused -> new ArrayDeque<>());
        switch (kind) {
            case KILL -> killed.add(drawn(processDeck, processes));
            case PAUSE -> paused.add(drawn(processDeck, processes));
            case PAIRS -> {
                String one = drawn(processDeck, processes);
                String other = drawn(processDeck, processes);
                while (other.equals(one)) {
                    other = drawn(processDeck, processes);
                }
                (random.nextBoolean() ? killed : paused).add(one);
                (random.nextBoolean() ? killed : paused).add(other);
            }
            case RESCALE, REJECT ->
                stream = drawn(streamDecks.computeIfAbsent(kind, unused -> new ArrayDeque<>()), streams);
            case CLOCK -> step = drawn(stepDeck, CLOCK_STEPS);
            case RESTART -> {}
        }
        int pause = 0;
        if (!paused.isEmpty()) {
            pause = Math.max(2, scaled(between(10, 40)));
        } else if (kind == Kind.REJECT || kind == Kind.CLOCK) {
            pause = Math.max(2, scaled(between(5, 15)));
        }
        int newParallelism =
                kind != Kind.RESCALE ? 0 : parallelism.getOrDefault(stream, CONFIGURED_PARALLELISM) == 1 ? 2 : 1;
        return new Fault(
                second, kind, List.copyOf(killed), List.copyOf(paused), pause, stream, newParallelism, step, early);
    }

    private List<Kind> kinds() {
        List<Kind> deck = new ArrayList<>();
        for (Kind kind : Kind.values()) {
            if (kinds.contains(kind)) {
                deck.addAll(Collections.nCopies(SHARES.get(kind), kind));
            }
        }
        return deck;
    }

    private <T> T drawn(Deque<T> deck, List<T> all) {
        if (deck.isEmpty()) {
            List<T> shuffled = new ArrayList<>(all);
            Collections.shuffle(shuffled, random);
            deck.addAll(shuffled);
        }
        return deck.removeFirst();
    }

    private int between(int least, int most) {
        return least + random.nextInt(most - least + 1);
    }

    private int scaled(int seconds) {
        return total >= SHORT_SECONDS ? seconds : seconds * total / SHORT_SECONDS / 2;
    }
}
