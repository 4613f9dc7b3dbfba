// SPDX-License-Identifier: Apache-2.0
package oracle;

import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;

/** Values as the canonical text of tests/golden/dump.h. */
final class Dump {
    private static final byte[] HEX = "0123456789abcdef".getBytes(StandardCharsets.US_ASCII);
    private final Messages messages;

    Dump(Messages messages) {
        this.messages = messages;
    }

    static void hex(StringBuilder out, ByteBuffer bytes) {
        for (int i = bytes.position(); i < bytes.limit(); i++) {
            out.append((char) HEX[bytes.get(i) >> 4 & 15]).append((char) HEX[bytes.get(i) & 15]);
        }
    }

    void structure(StringBuilder out, Object value, Schema schema) {
        out.append('{');
        for (Messages.Member member : messages.members(value.getClass(), schema)) {
            out.append(member.name()).append(':');
            try {
                value(out, member.field().get(value), member.type());
            } catch (IllegalAccessException e) {
                throw new IllegalStateException(e);
            }
            out.append(',');
        }
        for (RawTaggedField tag : ((Message) value).unknownTaggedFields()) {
            out.append('#').append(tag.tag()).append(':');
            hex(out, ByteBuffer.wrap(tag.data()));
            out.append(',');
        }
        out.append('}');
    }

    private void value(StringBuilder out, Object value, org.apache.kafka.common.protocol.types.Type type) {
        if (value instanceof Collection<?> items) {
            var elementType = Messages.elementType(type);
            out.append('[');
            for (Object item : items) {
                value(out, item, elementType);
                out.append(',');
            }
            out.append(']');
        } else if (type instanceof Schema schema && value != null) {
            structure(out, value, schema);
        } else {
            scalar(out, value);
        }
    }

    /** Anything but structures and collections with content. */
    static void scalar(StringBuilder out, Object value) {
        if (value == null) {
            out.append('~');
        } else if (value instanceof Boolean bool) {
            out.append(bool ? 't' : 'f');
        } else if (value instanceof Double number) {
            out.append('d').append(String.format("%016x", Double.doubleToRawLongBits(number)));
        } else if (value instanceof Number) {
            out.append(value);
        } else if (value instanceof Uuid id) {
            out.append(String.format("%016x%016x", id.getMostSignificantBits(), id.getLeastSignificantBits()));
        } else if (value instanceof String text) {
            out.append('x');
            hex(out, ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8)));
        } else if (value instanceof byte[] bytes) {
            out.append('x');
            hex(out, ByteBuffer.wrap(bytes));
        } else if (value instanceof ByteBuffer bytes) {
            out.append('x');
            hex(out, bytes);
        } else if (Records.is(value)) {
            out.append('x');
            hex(out, Records.bytes(value));
        } else if (value instanceof Collection<?> items && items.isEmpty()) {
            out.append("[]");
        } else {
            throw new IllegalStateException("no text for " + value.getClass());
        }
    }

    /** Whether a Java field holds a structure or an array of structures. */
    static Class<?> structureBelow(Field field) {
        Class<?> type = field.getType();
        if (Message.class.isAssignableFrom(type)) {
            return type;
        }
        if (Collection.class.isAssignableFrom(type)) {
            Class<?> element = Messages.element(field);
            return Message.class.isAssignableFrom(element) ? element : null;
        }
        return null;
    }

}
