package io.github.eventdedup.ingest.http;

import io.github.eventdedup.config.ConfigurationException;
import io.github.eventdedup.ingest.access.FileWatch;
import io.github.eventdedup.ingest.access.FileWatch.Source;
import io.github.eventdedup.ingest.settings.IngestSettings.Tls;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateExpiredException;
import java.security.cert.CertificateFactory;
import java.security.cert.CertificateNotYetValidException;
import java.security.cert.X509Certificate;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.eclipse.jetty.util.ssl.SslContextFactory;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The certificate that the service speaks HTTPS with, from PEM files that are read again when they change. Thread-safe.
 *
 * <p>PEM is a label around base64, and what is inside Java reads itself. A library for more kinds of it would bring a
 * second implementation of cryptography along.
 */
public final class TlsCertificate {

    private static final Logger LOG = LoggerFactory.getLogger(TlsCertificate.class);

    private static final Pattern PEM = Pattern.compile("-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \\1-----");

    /** What a key of each kind signs with, to see whether it belongs to a certificate. */
    private static final Map<String, String> SIGNATURES =
            new TreeMap<>(Map.of("RSA", "SHA256withRSA", "EC", "SHA256withECDSA"));

    /** Of a key store that is never written; it has to have one. */
    private static final String PASSWORD = "unused";

    private static final String CONVERT = "convert it with 'openssl pkey -in KEY -out NEW'";

    private final Source certificateFile;
    private final Source keyFile;
    private final SslContextFactory.Server factory = newFactory();

    private TlsCertificate(Tls tls) {
        certificateFile = new Source("DEDUP_TLS_CERTIFICATE_FILE", tls.certificate());
        keyFile = new Source("DEDUP_TLS_PRIVATE_KEY_FILE", tls.privateKey());
    }

    /**
     * Reads the files, and reads them again whenever one changes. A change that cannot be used is logged as one
     * warning, and the certificate stays. A new one is for new connections; open ones keep theirs.
     *
     * @return the factory of the web server's connections, TLS 1.2 and 1.3
     * @throws ConfigurationException where the files cannot be used, with the setting and what to do
     */
    public static SslContextFactory.Server load(Tls tls, FileWatch watch) throws ConfigurationException {
        TlsCertificate certificate = new TlsCertificate(tls);
        watch.use(
                List.of(certificate.certificateFile, certificate.keyFile),
                texts -> certificate.use(texts.get(0), texts.get(1)));
        return certificate.factory;
    }

    private static SslContextFactory.Server newFactory() {
        SslContextFactory.Server factory = new SslContextFactory.Server();
        factory.setIncludeProtocols("TLSv1.2", "TLSv1.3");
        // No client of ours needs it, and asking for it costs a client less than the server.
        factory.setRenegotiationAllowed(false);
        factory.setKeyStorePassword(PASSWORD);
        return factory;
    }

    private void use(String certificatePem, String keyPem) throws ConfigurationException {
        List<X509Certificate> chain = chain(certificatePem);
        KeyStore keyStore = keyStore(chain, privateKey(keyPem));
        try {
            // A reload that fails leaves a factory without any certificate, so another one goes first.
            SslContextFactory.Server trial = newFactory();
            trial.setKeyStore(keyStore);
            trial.start();
            trial.stop();
            if (factory.isStarted()) {
                factory.reload(unused -> factory.setKeyStore(keyStore));
            } else {
                factory.setKeyStore(keyStore);
            }
        } catch (Exception e) {
            throw new ConfigurationException(certificateFile + " cannot be used: " + e);
        }
        X509Certificate certificate = chain.get(0);
        LOG.info(
                "The certificate of {} is in use, valid until {}",
                certificate.getSubjectX500Principal(),
                certificate.getNotAfter().toInstant());
        try {
            certificate.checkValidity();
        } catch (CertificateExpiredException | CertificateNotYetValidException e) {
            LOG.warn(
                    "The certificate in {} is valid from {} to {}, not now: clients will reject it; replace it",
                    certificateFile.file(),
                    certificate.getNotBefore().toInstant(),
                    certificate.getNotAfter().toInstant());
        }
    }

    private List<X509Certificate> chain(String pem) throws ConfigurationException {
        List<X509Certificate> chain = new ArrayList<>();
        try {
            CertificateFactory x509 = CertificateFactory.getInstance("X.509");
            for (Matcher block = PEM.matcher(pem); block.find(); ) {
                if (block.group(1).equals("CERTIFICATE")) {
                    chain.add((X509Certificate)
                            x509.generateCertificate(new ByteArrayInputStream(der(certificateFile, block))));
                }
            }
        } catch (CertificateException e) {
            throw new ConfigurationException(certificateFile + " holds a broken certificate: " + e.getMessage());
        }
        if (chain.isEmpty()) {
            throw new ConfigurationException(certificateFile
                    + " holds no certificate in PEM, '-----BEGIN CERTIFICATE-----'; name the file that has it,"
                    + " followed by the intermediate ones");
        }
        try {
            for (int i = 1; i < chain.size(); i++) {
                chain.get(i - 1).verify(chain.get(i).getPublicKey());
            }
        } catch (GeneralSecurityException e) {
            throw new ConfigurationException(certificateFile
                    + " is not a chain: each certificate in it must be signed by the next; put them into that order");
        }
        return chain;
    }

    private PrivateKey privateKey(String pem) throws ConfigurationException {
        String other = null;
        for (Matcher block = PEM.matcher(pem); block.find(); ) {
            switch (block.group(1)) {
                case "PRIVATE KEY" -> {
                    return pkcs8(der(keyFile, block));
                }
                case "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY" -> other = block.group(1);
                default -> {
                    // Such as EC PARAMETERS, or the certificate in the same file.
                }
            }
        }
        if ("ENCRYPTED PRIVATE KEY".equals(other) || pem.contains("Proc-Type: 4,ENCRYPTED")) {
            throw new ConfigurationException(keyFile + " is encrypted, and the service has no passphrase for it; "
                    + CONVERT + " and protect the file by its permissions");
        }
        throw new ConfigurationException(keyFile
                + (other == null ? " holds no private key in PEM" : " holds a key in an older form, '" + other + "'")
                + "; it must be PKCS #8, '-----BEGIN PRIVATE KEY-----': " + CONVERT);
    }

    private PrivateKey pkcs8(byte[] der) throws ConfigurationException {
        for (String algorithm : SIGNATURES.keySet()) {
            try {
                return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(der));
            } catch (InvalidKeySpecException e) {
                LOG.debug("Not a key of {}", algorithm);
            } catch (GeneralSecurityException e) {
                throw new AssertionError("every Java has " + algorithm, e);
            }
        }
        throw new ConfigurationException(
                keyFile + " holds no key of RSA or EC, or a broken one; make a new one, or " + CONVERT);
    }

    private static byte[] der(Source source, Matcher block) throws ConfigurationException {
        try {
            // Of the MIME kind, which passes over line ends.
            return Base64.getMimeDecoder().decode(block.group(2));
        } catch (IllegalArgumentException e) {
            // Its message quotes the text.
            throw new ConfigurationException(source + " is damaged: its content is not base64");
        }
    }

    private KeyStore keyStore(List<X509Certificate> chain, PrivateKey key) throws ConfigurationException {
        if (!belongsTo(chain.get(0), key)) {
            throw new ConfigurationException(keyFile + " is not the key of the first certificate in " + certificateFile
                    + "; a certificate and its key go together, and the certificates that signed it come after it");
        }
        try {
            KeyStore keyStore = KeyStore.getInstance("PKCS12");
            keyStore.load(null, null);
            keyStore.setKeyEntry("ingest", key, PASSWORD.toCharArray(), chain.toArray(Certificate[]::new));
            return keyStore;
        } catch (GeneralSecurityException | IOException e) {
            throw new ConfigurationException(certificateFile + " cannot be used: " + e.getMessage());
        }
    }

    private static boolean belongsTo(X509Certificate certificate, PrivateKey key) {
        byte[] anything = {1};
        try {
            Signature signature = Signature.getInstance(SIGNATURES.get(key.getAlgorithm()));
            signature.initSign(key);
            signature.update(anything);
            byte[] signed = signature.sign();
            signature.initVerify(certificate.getPublicKey());
            signature.update(anything);
            return signature.verify(signed);
        } catch (GeneralSecurityException e) {
            // Such as keys of two kinds.
            return false;
        }
    }
}
