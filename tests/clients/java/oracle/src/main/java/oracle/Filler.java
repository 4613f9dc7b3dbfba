// SPDX-License-Identifier: Apache-2.0
package oracle;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.SplittableRandom;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Type;

/**
 * Fills an instance with seeded values. The first kinds are the extremes one by one, then everything mixed.
 */
final class Filler {
    /** DEFAULT .. HUGE in this order are the first cases of every version; RANDOM is all that follow. */
    enum Kind { DEFAULT, FULL, NULLS, MAX, MIN, UNKNOWN_TAGS, ALL_TAGS, HUGE, RANDOM }

    private final Messages messages;
    private final SplittableRandom random;
    private final Kind kind;
    private boolean hugeDone;

    Filler(Messages messages, long seed, Kind kind) {
        this.messages = messages;
        this.random = new SplittableRandom(seed);
        this.kind = kind;
    }

    @SuppressWarnings("unchecked")
    <T> T fill(Class<T> type, Schema schema, int depth) {
        Object value = Messages.create(type);
        for (Messages.Member member : messages.members(type, schema)) {
            try {
                if (keepDefault(member)) {
                    if (member.field().get(value) == null && !nullable(member)) {
                        member.field().set(value, value(member, depth));
                    }
                } else {
                    member.field().set(value, value(member, depth));
                }
            } catch (IllegalAccessException e) {
                throw new IllegalStateException(e);
            }
        }
        if (Messages.flexible(schema) && wantUnknown()) {
            unknownTags(((Message) value).unknownTaggedFields());
        }
        return (T) value;
    }

    private boolean keepDefault(Messages.Member member) {
        return switch (kind) {
            case DEFAULT -> true;
            case UNKNOWN_TAGS -> member.tag() >= 0;
            case RANDOM -> random.nextInt(member.tag() >= 0 ? 2 : 8) == 0;
            default -> false;
        };
    }

    private boolean wantUnknown() {
        return switch (kind) {
            case UNKNOWN_TAGS, ALL_TAGS -> true;
            case RANDOM -> random.nextInt(6) == 0;
            default -> false;
        };
    }

    /**
     * Ascending, of one to five bytes. Small ones are left alone: Kafka refuses the tag of a field that the
     * version lacks.
     */
    private void unknownTags(List<RawTaggedField> out) {
        java.util.TreeSet<Integer> tags = new java.util.TreeSet<>();
        int count = 1 + random.nextInt(3);
        for (int i = 0; i < count; i++) {
            tags.add(switch (random.nextInt(4)) {
                case 0 -> 10 + random.nextInt(6);
                case 1 -> 126 + random.nextInt(4);
                case 2 -> 10000 + random.nextInt(10000);
                default -> Integer.MAX_VALUE - 1 - random.nextInt(3);
            });
        }
        for (int tag : tags) {
            out.add(new RawTaggedField(tag, bytes(random.nextInt(4) == 0 ? 130 : random.nextInt(5))));
        }
    }

    private Object value(Messages.Member member, int depth) {
        Type type = member.type();
        Class<?> java = member.field().getType();
        if (nullable(member) && isNull()) {
            return null;
        }
        if (Collection.class.isAssignableFrom(java)) {
            return collection(member, depth);
        }
        if (type instanceof Schema schema) {
            return fill(java, schema, depth + 1);
        }
        return scalar(java, type);
    }

    /** Schemas of 4.2 call all record fields nullable; those of Produce and Fetch are. */
    private static boolean nullable(Messages.Member member) {
        Class<?> owner = member.field().getDeclaringClass().getEnclosingClass();
        return Records.holds(member.field())
            ? owner.getSimpleName().matches("ProduceRequestData|FetchResponseData") : member.type().isNullable();
    }

    private boolean isNull() {
        return kind == Kind.NULLS || kind == Kind.RANDOM && random.nextInt(4) == 0;
    }

    @SuppressWarnings("unchecked")
    private Object collection(Messages.Member member, int depth) {
        Class<?> java = member.field().getType();
        Collection<Object> items =
            java == List.class ? new ArrayList<>() : (Collection<Object>) Messages.create(java);
        Class<?> element = Messages.element(member.field());
        Type type = Messages.elementType(member.type());
        int count = count(depth);
        for (int i = 0; i < count; i++) {
            items.add(type instanceof Schema schema ? fill(element, schema, depth + 1) : scalar(element, type));
        }
        return items;
    }

    private int count(int depth) {
        return switch (kind) {
            case DEFAULT, MIN -> 0;
            case MAX -> depth == 0 ? 3 : 1;
            case RANDOM -> random.nextInt(depth < 2 ? 4 : 3);
            default -> 1;
        };
    }

    private Object scalar(Class<?> java, Type type) {
        if (java == boolean.class) {
            return kind == Kind.MAX || kind == Kind.FULL || kind == Kind.RANDOM && random.nextBoolean();
        } else if (java == byte.class || java == Byte.class) {
            return (byte) number(Byte.MIN_VALUE, Byte.MAX_VALUE);
        } else if (java == short.class || java == Short.class) {
            return (short) number(Short.MIN_VALUE, Short.MAX_VALUE);
        } else if (java == int.class && type == Type.UINT16) {
            return (int) number(0, 65535);
        } else if (java == int.class || java == Integer.class) {
            return (int) number(Integer.MIN_VALUE, Integer.MAX_VALUE);
        } else if (java == long.class || java == Long.class) {
            return number(Long.MIN_VALUE, Long.MAX_VALUE);
        } else if (java == double.class) {
            return real();
        } else if (java == Uuid.class) {
            return new Uuid(number(Long.MIN_VALUE, Long.MAX_VALUE), number(Long.MIN_VALUE, Long.MAX_VALUE));
        } else if (java == String.class) {
            return text();
        } else if (java == byte[].class) {
            return bytes(length(100000));
        } else if (java == ByteBuffer.class) {
            return ByteBuffer.wrap(bytes(length(100000)));
        }
        return Records.of(ByteBuffer.wrap(bytes(length(200000))));
    }

    private long number(long min, long max) {
        if (kind == Kind.MAX || kind == Kind.MIN) {
            return kind == Kind.MAX ? max : min;
        }
        return switch (random.nextInt(5)) {
            case 0 -> kind == Kind.FULL ? 7 : 0;
            case 1 -> kind == Kind.FULL ? 5 : random.nextBoolean() ? min : max;
            case 2 -> 1 + random.nextInt(20);
            case 3 -> min == 0 ? 3 : -1 - random.nextInt(5);
            default -> min == Long.MIN_VALUE ? random.nextLong() : random.nextLong(min, max + 1);
        };
    }

    private double real() {
        return switch (kind) {
            case MAX -> Double.MAX_VALUE;
            case MIN -> Double.NEGATIVE_INFINITY;
            default -> random.nextInt(4) == 0 ? Double.NaN : random.nextDouble() * 1e6 - 5e5;
        };
    }

    private int length(int huge) {
        if (kind == Kind.HUGE && !hugeDone) {
            hugeDone = true;
            return huge;
        }
        return switch (kind) {
            case DEFAULT, MIN, NULLS -> 0;
            case MAX -> 130;
            case RANDOM -> random.nextInt(16) == 0 ? 120 + random.nextInt(20) : random.nextInt(9);
            default -> 1 + random.nextInt(4);
        };
    }

    private byte[] bytes(int length) {
        byte[] bytes = new byte[length];
        if (length < 1000) {
            random.nextBytes(bytes);
        }
        return bytes;
    }

    /** Text of one to four bytes per character in UTF-8; the largest is 32767 bytes. */
    private String text() {
        int length = length(Short.MAX_VALUE);
        if (length > 1000) {
            return "h".repeat(length);
        }
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < length; i++) {
            text.appendCodePoint(switch (random.nextInt(8)) {
                case 0 -> 0xe9;
                case 1 -> 0x4e2d;
                case 2 -> 0x1f600;
                case 3 -> random.nextInt(0x80);
                default -> 'a' + random.nextInt(26);
            });
        }
        return text.toString();
    }
}
