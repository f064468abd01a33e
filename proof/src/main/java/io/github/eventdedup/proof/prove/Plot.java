package io.github.eventdedup.proof.prove;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.ToLongFunction;

/**
 * A run as a picture, an SVG that needs nothing else: what goes in and comes out each second above, how long events wait
 * below, and the faults as bands across both, with the numbers they have in the report's table.
 */
final class Plot {

    private static final int WIDTH = 900;
    private static final int HEIGHT = 540;
    private static final int LEFT = 64;
    private static final int RIGHT = WIDTH - 16;
    private static final int TOP_OF_RATES = 70;
    private static final int BOTTOM_OF_RATES = 290;
    private static final int TOP_OF_LAGS = 330;
    private static final int BOTTOM_OF_LAGS = 490;

    /** Between two of these a rate is measured: what a database commits in batches comes in steps. */
    private static final long RATE_MILLIS = 2_000;

    private static final String ACKNOWLEDGED = "#1f77b4";
    private static final String ROWS = "#2ca02c";
    private static final String VIEWS_LAG = "#d62728";
    private static final String LOGINS_LAG = "#9467bd";
    private static final String BAND = "#ff9f1c";

    private final StringBuilder svg = new StringBuilder();
    private final long begin;
    private final long end;

    private Plot(long begin, long end) {
        this.begin = begin;
        this.end = Math.max(end, begin + 1000);
    }

    private record Point(long millis, double value) {}

    static String svg(String title, List<Sample> views, List<Sample> logins, List<InjectedFault> faults) {
        List<Sample> all = new ArrayList<>(views);
        all.addAll(logins);
        long begin = all.stream().mapToLong(Sample::millis).min().orElse(0);
        long end = all.stream().mapToLong(Sample::millis).max().orElse(0);
        return new Plot(begin, end).draw(title, views, logins, faults);
    }

    private String draw(String title, List<Sample> views, List<Sample> logins, List<InjectedFault> faults) {
        svg.append("""
                <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" \
                font-family="sans-serif" font-size="12">
                <rect width="100%%" height="100%%" fill="white"/>
                """.formatted(WIDTH, HEIGHT, WIDTH, HEIGHT));
        text(LEFT, 22, "start", title, "font-size=\"15\" font-weight=\"bold\"");

        List<Point> acknowledged = rates(views, Sample::sent);
        List<Point> rows = rates(views, Sample::rows);
        List<Point> viewsLag = lags(views);
        List<Point> loginsLag = lags(logins);
        // What piled up during an outage is stored at many times the usual rate: it may leave the picture, the usual
        // not.
        double usual = 3 * max(acknowledged);
        double highest = max(rows);
        double rateScale =
                nice(Math.max(10, usual == 0 ? highest : Math.max(max(acknowledged), Math.min(usual, highest))));
        double lagScale = nice(Math.max(5, Math.max(max(viewsLag), max(loginsLag))));

        bands(faults);
        axes(TOP_OF_RATES, BOTTOM_OF_RATES, rateScale, "events / s");
        axes(TOP_OF_LAGS, BOTTOM_OF_LAGS, lagScale, "lag, s");
        minutes();
        line(acknowledged, TOP_OF_RATES, BOTTOM_OF_RATES, rateScale, ACKNOWLEDGED);
        line(rows, TOP_OF_RATES, BOTTOM_OF_RATES, rateScale, ROWS);
        line(viewsLag, TOP_OF_LAGS, BOTTOM_OF_LAGS, lagScale, VIEWS_LAG);
        line(loginsLag, TOP_OF_LAGS, BOTTOM_OF_LAGS, lagScale, LOGINS_LAG);

        int x = legend(LEFT, 44, ACKNOWLEDGED, "view-events acknowledged");
        String peak = highest > rateScale ? "rows stored (up to " + Math.round(highest) + ")" : "rows stored";
        x = legend(x, 44, ROWS, peak);
        x = legend(x, 44, VIEWS_LAG, "lag of view-events");
        x = legend(x, 44, LOGINS_LAG, "lag of user-logins");
        legend(x, 44, BAND, "fault");
        return svg.append("</svg>\n").toString();
    }

    private void bands(List<InjectedFault> faults) {
        for (int i = 0; i < faults.size(); i++) {
            InjectedFault fault = faults.get(i);
            double from = x(fault.begin());
            double to = Math.max(from + 2, x(fault.end()));
            svg.append(format(
                    "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\" fill-opacity=\"0.35\"><title>%s</title></rect>%n",
                    from,
                    TOP_OF_RATES,
                    to - from,
                    BOTTOM_OF_LAGS - TOP_OF_RATES,
                    BAND,
                    escaped(fault.fault().what())));
            // Two rows, for faults that follow each other at once.
            text((from + to) / 2, TOP_OF_RATES - (i % 2 == 0 ? 3 : 13), "middle", "" + (i + 1), "font-size=\"11\"");
        }
    }

    private void axes(int top, int bottom, double scale, String label) {
        for (int i = 0; i <= 4; i++) {
            double y = bottom - (bottom - top) * i / 4.0;
            rule(LEFT, y, RIGHT, y, i == 0 ? "#333333" : "#dddddd");
            double value = scale * i / 4;
            text(LEFT - 6, y + 4, "end", value == Math.rint(value) ? "" + (long) value : format("%.1f", value), "");
        }
        rule(LEFT, top, LEFT, bottom, "#333333");
        double middle = (top + bottom) / 2.0;
        text(14, middle, "middle", label, format("transform=\"rotate(-90 14 %.1f)\"", middle));
    }

    private void minutes() {
        double length = (end - begin) / 60_000.0;
        double step = 0.1;
        for (double wider : new double[] {0.2, 0.5, 1, 2, 5, 10, 20, 60}) {
            if (length / step > 12) {
                step = wider;
            }
        }
        for (int i = 0; i * step <= length; i++) {
            double x = x(begin + (long) (i * step * 60_000));
            rule(x, BOTTOM_OF_LAGS, x, BOTTOM_OF_LAGS + 5, "#333333");
            text(x, BOTTOM_OF_LAGS + 19, "middle", step < 1 ? format("%.1f", i * step) : "" + Math.round(i * step), "");
        }
        text((LEFT + RIGHT) / 2.0, HEIGHT - 12, "middle", "minutes", "");
    }

    private void line(List<Point> points, int top, int bottom, double scale, String colour) {
        StringBuilder coordinates = new StringBuilder();
        for (Point point : points) {
            double y = bottom - (bottom - top) * Math.min(1, point.value() / scale);
            coordinates.append(format("%.1f,%.1f ", x(point.millis()), y));
        }
        svg.append(format(
                "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.6\" points=\"%s\"/>%n",
                colour, coordinates.toString().strip()));
    }

    /** @return where the next one may begin */
    private int legend(int x, int y, String colour, String label) {
        svg.append(format("<rect x=\"%d\" y=\"%d\" width=\"14\" height=\"6\" fill=\"%s\"/>%n", x, y - 7, colour));
        text(x + 19, y, "start", label, "");
        return x + 36 + 7 * label.length();
    }

    private void rule(double x1, double y1, double x2, double y2, String colour) {
        svg.append(format(
                "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>%n", x1, y1, x2, y2, colour));
    }

    private void text(double x, double y, String anchor, String text, String attributes) {
        svg.append(format(
                "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"#222222\" %s>%s</text>%n",
                x, y, anchor, attributes, escaped(text)));
    }

    private double x(long millis) {
        double part = (double) (millis - begin) / (end - begin);
        return LEFT + (RIGHT - LEFT) * Math.min(1, Math.max(0, part));
    }

    private static List<Point> rates(List<Sample> samples, ToLongFunction<Sample> count) {
        List<Point> rates = new ArrayList<>();
        int from = 0;
        for (Sample sample : samples) {
            while (samples.get(from).millis() + RATE_MILLIS < sample.millis()) {
                from++;
            }
            // The one before, so that the time in between is never shorter.
            Sample before = samples.get(Math.max(0, from - 1));
            double seconds = (sample.millis() - before.millis()) / 1000.0;
            if (seconds > 0) {
                rates.add(
                        new Point(sample.millis(), (count.applyAsLong(sample) - count.applyAsLong(before)) / seconds));
            }
        }
        return rates;
    }

    private static List<Point> lags(List<Sample> samples) {
        return samples.stream()
                .map(sample -> new Point(sample.millis(), sample.lagMillis() / 1000.0))
                .toList();
    }

    private static double max(List<Point> points) {
        return points.stream().mapToDouble(Point::value).max().orElse(0);
    }

    /** The next number above that quarters of it are easy to read. */
    private static double nice(double value) {
        double power = Math.pow(10, Math.floor(Math.log10(value)));
        for (double factor : new double[] {1, 2, 4, 6, 8}) {
            if (factor * power >= value) {
                return factor * power;
            }
        }
        return 10 * power;
    }

    /** As XML wants it. */
    static String escaped(String text) {
        return text.replace("&", "&amp;")
                .replace("<", "&lt;")
                .replace(">", "&gt;")
                .replace("\"", "&quot;");
    }

    private static String format(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }
}
