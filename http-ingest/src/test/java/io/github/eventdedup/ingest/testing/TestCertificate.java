package io.github.eventdedup.ingest.testing;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.UUID;

/**
 * A certificate of its own, made with the keytool of the Java that runs.
 *
 * @param certificatePem what {@code DEDUP_TLS_CERTIFICATE_FILE} holds
 * @param keyPem what {@code DEDUP_TLS_PRIVATE_KEY_FILE} holds
 */
public record TestCertificate(X509Certificate certificate, String certificatePem, String keyPem) {

    private static final char[] PASSWORD = "password".toCharArray();

    /**
     * Writes a key and its certificate.
     *
     * @param options such as {@code -keyalg EC}
     */
    public static TestCertificate create(Path directory, String... options) throws Exception {
        Path store = directory.resolve(UUID.randomUUID() + ".p12");
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair",
                "-alias",
                "test",
                "-storetype",
                "PKCS12",
                "-storepass",
                new String(PASSWORD),
                "-dname",
                "CN=test",
                "-keystore",
                store.toString()));
        command.addAll(Arrays.asList(options));
        Process keytool = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(directory.resolve("keytool.log").toFile())
                .start();
        if (keytool.waitFor() != 0) {
            throw new IOException(Files.readString(directory.resolve("keytool.log")));
        }
        KeyStore keyStore = KeyStore.getInstance("PKCS12");
        try (InputStream in = Files.newInputStream(store)) {
            keyStore.load(in, PASSWORD);
        }
        X509Certificate certificate = (X509Certificate) keyStore.getCertificate("test");
        return new TestCertificate(
                certificate,
                pem("CERTIFICATE", certificate.getEncoded()),
                pem("PRIVATE KEY", keyStore.getKey("test", PASSWORD).getEncoded()));
    }

    public static String pem(String label, byte[] der) {
        String base64 = Base64.getMimeEncoder(64, "\n".getBytes(StandardCharsets.US_ASCII))
                .encodeToString(der);
        return "-----BEGIN " + label + "-----\n" + base64 + "\n-----END " + label + "-----\n";
    }
}
