package io.github.eventdedup.ingest;

import static io.github.eventdedup.ingest.testing.TestEvents.PATH;
import static io.github.eventdedup.ingest.testing.TestEvents.problem;
import static io.github.eventdedup.ingest.testing.TestIngest.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.ingest.testing.LogLines;
import io.github.eventdedup.ingest.testing.RawClient;
import io.github.eventdedup.ingest.testing.TestCertificate;
import io.github.eventdedup.ingest.testing.TestEvents;
import io.github.eventdedup.ingest.testing.TestIngest;
import io.github.eventdedup.servers.FreePort;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Map;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** HTTPS over real sockets, with certificates made for the run. What is behind it is the same as without; no Kafka here. */
@Timeout(180)
class TlsIT {

    @TempDir
    private static Path shared;

    private static TestCertificate rsa;
    private static TestCertificate ec;
    private static TestCertificate expired;

    @TempDir
    private Path directory;

    private Path certificateFile;
    private Path keyFile;
    private Path streams;
    private LogLines log;
    private HttpIngest ingest;

    @BeforeAll
    static void makeCertificates() throws Exception {
        rsa = TestCertificate.create(shared, "-keyalg", "RSA", "-keysize", "2048", "-ext", "san=dns:ingest.example");
        ec = TestCertificate.create(shared, "-keyalg", "EC", "-groupname", "secp256r1");
        expired = TestCertificate.create(shared, "-keyalg", "EC", "-startdate", "-3d", "-validity", "1");
    }

    @BeforeEach
    void prepare() throws Exception {
        streams = TestEvents.streams(directory);
        certificateFile = directory.resolve("tls.crt");
        keyFile = directory.resolve("tls.key");
        log = new LogLines();
    }

    @AfterEach
    void stop() {
        if (ingest != null) {
            ingest.close();
        }
        log.close();
    }

    private void start(TestCertificate certificate) throws Exception {
        write(certificate.certificatePem(), certificate.keyPem());
        start();
    }

    private void write(String certificatePem, String keyPem) throws IOException {
        Files.writeString(certificateFile, certificatePem);
        Files.writeString(keyFile, keyPem);
    }

    private void start() throws Exception {
        ingest = HttpIngest.start(TestIngest.settings(
                "127.0.0.1:" + FreePort.find(),
                streams,
                Map.of(
                        "DEDUP_TLS_CERTIFICATE_FILE",
                        certificateFile.toString(),
                        "DEDUP_TLS_PRIVATE_KEY_FILE",
                        keyFile.toString())));
    }

    /** A connection by address that trusts this certificate and no other. */
    private SSLSocket connect(TestCertificate trusted, String... protocols) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        store.setCertificateEntry("trusted", trusted.certificate());
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        SSLSocket socket =
                (SSLSocket) context.getSocketFactory().createSocket(InetAddress.getLoopbackAddress(), ingest.port());
        socket.setSoTimeout(60_000);
        if (protocols.length > 0) {
            socket.setEnabledProtocols(protocols);
        }
        return socket;
    }

    private X509Certificate served(TestCertificate trusted) throws Exception {
        try (SSLSocket socket = connect(trusted)) {
            socket.startHandshake();
            return (X509Certificate) socket.getSession().getPeerCertificates()[0];
        }
    }

    private boolean serves(TestCertificate certificate) throws Exception {
        try {
            return served(certificate).equals(certificate.certificate());
        } catch (SSLException e) {
            return false;
        }
    }

    private static void assertWorks(RawClient client) throws IOException {
        client.send("GET /health/live HTTP/1.1\r\n", new byte[0]);
        assertThat(client.read().body()).isEqualTo("{\"status\":\"live\"}");
        assertThat(problem(client.post(PATH, "[]".getBytes(StandardCharsets.UTF_8)), 400))
                .startsWith("the event ");
    }

    @ParameterizedTest
    @CsvSource({"RSA, TLSv1.3", "RSA, TLSv1.2", "EC, TLSv1.3", "EC, TLSv1.2"})
    void speaksHttpsWithEitherKind(String kind, String protocol) throws Exception {
        TestCertificate certificate = kind.equals("RSA") ? rsa : ec;
        start(certificate);
        try (SSLSocket socket = connect(certificate, protocol);
                RawClient client = new RawClient(socket)) {
            assertWorks(client);
            assertThat(socket.getSession().getProtocol()).isEqualTo(protocol);
        }
        assertThat(log.all()).anyMatch(line -> line.startsWith("Listening on https://127.0.0.1:" + ingest.port()));
        assertThat(log.warnings()).noneMatch(TlsIT::isNotAboutKafka);
    }

    @Test
    void takesClientsThatAskForAnotherName() throws Exception {
        start(rsa);
        try (SSLSocket socket = connect(rsa);
                RawClient client = new RawClient(socket)) {
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setServerNames(List.of(new SNIHostName("somebody.else.example")));
            socket.setSSLParameters(parameters);
            assertWorks(client);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n", "\0\0\0\0\0\0\0\0\0\0\0\0", "\u0016\u0003\u0001"
            })
    void logsNothingAboutThoseWhoDoNotSpeakTls(String sent) throws Exception {
        start(ec);
        try (RawClient client = new RawClient(ingest.port())) {
            client.send(sent.getBytes(StandardCharsets.ISO_8859_1));
            if (sent.length() > 3) {
                assertThat(catchThrowable(client::read)).isNotNull();
            }
        }
        assertThat(served(ec)).isEqualTo(ec.certificate());
        assertThat(log.warnings()).noneMatch(TlsIT::isNotAboutKafka);
    }

    @Test
    void servesANewCertificateToNewConnectionsWhileOldOnesGoOn() throws Exception {
        start(rsa);
        try (RawClient old = new RawClient(connect(rsa))) {
            assertWorks(old);
            write(ec.certificatePem(), ec.keyPem());
            await().until(() -> serves(ec));
            assertThat(serves(rsa)).isFalse();
            assertWorks(old);
        }
        assertThat(log.warnings()).noneMatch(TlsIT::isNotAboutKafka);
    }

    @Test
    void keepsTheOldCertificateWhereTheNewOneCannotBeUsedAndWarnsOnce() throws Exception {
        start(rsa);
        Files.writeString(certificateFile, ec.certificatePem());
        await().until(() -> log.warnings().stream().anyMatch(line -> line.contains("is not the key of")));
        assertThat(serves(rsa)).isTrue();
        Files.writeString(keyFile, ec.keyPem());
        await().until(() -> serves(ec));
        assertThat(log.warnings())
                .filteredOn(TlsIT::isNotAboutKafka)
                .singleElement()
                .asString()
                .contains("the previous version stays in use");
    }

    @Test
    void onlyWarnsOfACertificateThatHasExpired() throws Exception {
        start(expired);
        assertThat(log.warnings())
                .filteredOn(TlsIT::isNotAboutKafka)
                .singleElement()
                .asString()
                .contains(certificateFile.toString())
                .contains("replace it");
        try (SSLSocket socket = connect(expired)) {
            // It is the client who decides what to think of it, and Java's does not mind where it trusts this very one.
            socket.startHandshake();
        }
    }

    @Test
    void saysWhatIsWrongWithTheFiles() throws Exception {
        assertRefused("DEDUP_TLS_CERTIFICATE_FILE: " + certificateFile + " does not exist");
        Files.writeString(certificateFile, rsa.certificatePem());
        assertRefused("DEDUP_TLS_PRIVATE_KEY_FILE: " + keyFile + " does not exist");

        String key = "DEDUP_TLS_PRIVATE_KEY_FILE: " + keyFile;
        write(rsa.certificatePem(), ec.keyPem());
        assertRefused(key + " is not the key of the first certificate in DEDUP_TLS_CERTIFICATE_FILE");
        write(rsa.certificatePem(), rsa.certificatePem());
        assertRefused(key + " holds no private key in PEM");
        write(rsa.certificatePem(), rsa.keyPem().replace("PRIVATE", "ENCRYPTED PRIVATE"));
        assertRefused(key + " is encrypted, and the service has no passphrase");
        write(rsa.certificatePem(), rsa.keyPem().replace("PRIVATE", "RSA PRIVATE"));
        assertRefused(key + " holds a key in an older form, 'RSA PRIVATE KEY'; it must be PKCS #8");
        write(rsa.certificatePem(), TestCertificate.pem("PRIVATE KEY", new byte[100]));
        assertRefused(key + " holds no key of RSA or EC, or a broken one");
        write(rsa.certificatePem(), rsa.keyPem().replace("-----\n", "-----\nA\u0000="));
        assertRefused(key + " ");

        String certificate = "DEDUP_TLS_CERTIFICATE_FILE: " + certificateFile;
        write("", rsa.keyPem());
        assertRefused(certificate + " holds no certificate in PEM");
        write(TestCertificate.pem("CERTIFICATE", new byte[100]), rsa.keyPem());
        assertRefused(certificate + " holds a broken certificate");
        write(rsa.certificatePem() + ec.certificatePem(), rsa.keyPem());
        assertRefused(certificate + " is not a chain: each certificate in it must be signed by the next");
    }

    private void assertRefused(String message) {
        assertThatThrownBy(this::start)
                .isInstanceOf(ConfigurationException.class)
                .hasMessageStartingWith(message)
                .message()
                .doesNotContain(rsa.keyPem().substring(40, 80));
    }

    /** There is none in these tests. */
    private static boolean isNotAboutKafka(String line) {
        return !line.startsWith("Not ready") && !line.startsWith("Dead letters cannot be looked up");
    }
}
