package io.github.eventdedup.job.model;

import io.github.eventdedup.event.Fingerprint;
import org.apache.flink.api.common.serialization.SerializerConfig;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeutils.TypeSerializer;

/** Tells Flink which serializer a type of ours has; without it the type would go through Kryo. */
public final class ImmutableType<T> extends TypeInformation<T> {

    private static final long serialVersionUID = 1L;

    public static final TypeInformation<Fingerprint> FINGERPRINT =
            new ImmutableType<>(Fingerprint.class, FingerprintSerializer.INSTANCE, true);
    public static final TypeInformation<IdentifiedEvent> IDENTIFIED_EVENT =
            new ImmutableType<>(IdentifiedEvent.class, IdentifiedEventSerializer.INSTANCE, false);

    private final Class<T> type;
    private final ImmutableSerializer<T> serializer;
    private final boolean keyType;

    private ImmutableType(Class<T> type, ImmutableSerializer<T> serializer, boolean keyType) {
        this.type = type;
        this.serializer = serializer;
        this.keyType = keyType;
    }

    @Override
    public boolean isBasicType() {
        return false;
    }

    @Override
    public boolean isTupleType() {
        return false;
    }

    @Override
    public int getArity() {
        return 1;
    }

    @Override
    public int getTotalFields() {
        return 1;
    }

    @Override
    public Class<T> getTypeClass() {
        return type;
    }

    @Override
    public boolean isKeyType() {
        return keyType;
    }

    @Override
    public TypeSerializer<T> createSerializer(SerializerConfig config) {
        return serializer;
    }

    @Override
    public boolean canEqual(Object other) {
        return other instanceof ImmutableType<?>;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof ImmutableType<?> that && type.equals(that.type);
    }

    @Override
    public int hashCode() {
        return type.hashCode();
    }

    @Override
    public String toString() {
        return type.getSimpleName();
    }
}
