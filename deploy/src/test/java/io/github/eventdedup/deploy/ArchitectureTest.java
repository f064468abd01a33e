package io.github.eventdedup.deploy;

import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The rules of docs/adr/0024-packages.md and 0027-prove-in-proof.md, for the classes of every module. */
class ArchitectureTest {

    private static final Path PROJECT = Path.of("..").toAbsolutePath().normalize();
    private static final String BASE = "io.github.eventdedup.";

    /** The most types that a package may have, nested ones and {@code package-info} not counted. */
    private static final int MAX_TYPES = 15;

    /** Older than the rule: their types are not in packages yet. */
    private static final Set<String> FLAT = Set.of("event");

    /** The directory of each module, the package of its classes, and the modules whose classes these may use. */
    private record Module(String directory, String name, Set<String> uses) {

        @Override
        public String toString() {
            return directory;
        }

        private JavaClasses classes() {
            return new ClassFileImporter().importPath(PROJECT.resolve(directory).resolve("target/classes"));
        }
    }

    private static List<Module> modules() {
        return List.of(
                new Module("config", "config", Set.of()),
                new Module("event", "event", Set.of("config")),
                new Module("servers", "servers", Set.of()),
                new Module("http-ingest", "ingest", Set.of("event", "config")),
                new Module("outbox-relay", "relay", Set.of("event", "config")),
                new Module("job", "job", Set.of("event", "config")),
                new Module("proof", "proof", Set.of("event", "config", "servers")),
                new Module("local", "local", Set.of("event", "config", "servers")));
    }

    @ParameterizedTest
    @MethodSource("modules")
    void packagesFormNoCycle(Module module) {
        slices().assignedFrom(new SliceAssignment() {
                    @Override
                    public SliceIdentifier getIdentifierOf(JavaClass type) {
                        return SliceIdentifier.of(type.getPackageName());
                    }

                    @Override
                    public String getDescription() {
                        return "the packages of " + module;
                    }
                })
                .should()
                .beFreeOfCycles()
                .check(module.classes());
    }

    @ParameterizedTest
    @MethodSource("modules")
    void aPackageHasAboutADozenTypes(Module module) {
        Map<String, Long> types = module.classes().stream()
                .filter(JavaClass::isTopLevelClass)
                .filter(type -> !type.getSimpleName().equals("package-info"))
                .collect(Collectors.groupingBy(JavaClass::getPackageName, Collectors.counting()));
        assertThat(types).isNotEmpty();
        if (!FLAT.contains(module.name)) {
            assertThat(types)
                    .allSatisfy((name, count) -> assertThat(count).as(name).isLessThanOrEqualTo(MAX_TYPES));
        }
    }

    @ParameterizedTest
    @MethodSource("modules")
    void aModuleUsesThoseBelowIt(Module module) {
        Set<String> used = new TreeSet<>();
        for (JavaClass type : module.classes()) {
            assertThat(type.getPackageName() + ".").startsWith(BASE + module.name + ".");
            type.getDirectDependenciesFromSelf().stream()
                    .map(dependency ->
                            dependency.getTargetClass().getBaseComponentType().getPackageName() + ".")
                    .filter(name -> name.startsWith(BASE))
                    .map(name -> name.substring(BASE.length()).replaceFirst("\\..*", ""))
                    .filter(name -> !name.equals(module.name))
                    .forEach(used::add);
        }
        assertThat(module.uses).containsAll(used);
    }
}
