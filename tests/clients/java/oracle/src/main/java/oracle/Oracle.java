// SPDX-License-Identifier: Apache-2.0
package oracle;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.Schema;

/**
 * What Apache Kafka's own classes say about bytes and values, as lines of text (README.md):
 * <pre>
 *   oracle rules                all defaults (D) and refusals (R)
 *   oracle write SEED N [tiny]  N cases (C) of every message and version; tiny: huge ones for the last only
 *   oracle read [CHANGED]       reads C lines on standard input and says where Kafka disagrees; of the
 *                               "message version" lines in the file CHANGED only the bytes are compared
 * </pre>
 */
public final class Oracle {
    private final Messages messages = new Messages();
    private final Dump dump = new Dump(messages);
    private final PrintWriter out =
        new PrintWriter(new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.US_ASCII), 1 << 16));

    public static void main(String[] args) throws Exception {
        Oracle oracle = new Oracle();
        int exit = 0;
        switch (args.length == 0 ? "" : args[0]) {
            case "rules" -> oracle.rules();
            case "write" -> oracle.write(Long.parseLong(args[1]), Integer.parseInt(args[2]), args.length > 3);
            case "read" -> exit = oracle.read(args.length > 1 ? Files.readString(Path.of(args[1])) : "");
            default -> exit = 2;
        }
        oracle.out.flush();
        System.exit(exit);
    }

    private static byte[] encode(ApiMessage message, short version) {
        ByteBuffer bytes = MessageUtil.toByteBufferAccessor(message, version).buffer();
        byte[] array = new byte[bytes.remaining()];
        bytes.get(array);
        return array;
    }

    private String text(ApiMessage message, short version) throws Exception {
        StringBuilder text = new StringBuilder();
        dump.structure(text, message, Messages.schema(message.getClass(), version));
        return text.toString();
    }

    private void write(long seed, int count, boolean tiny) throws Exception {
        for (Map.Entry<String, Class<? extends ApiMessage>> entry : Messages.all().entrySet()) {
            Class<? extends ApiMessage> type = entry.getValue();
            for (short version = Messages.lowest(type); version <= Messages.highest(type); version++) {
                for (int i = 0; i < count; i++) {
                    writeCase(entry.getKey(), type, version, seed, i, tiny);
                }
            }
        }
    }

    private void writeCase(String name, Class<? extends ApiMessage> type, short version, long seed, int i, boolean tiny)
        throws Exception {
        Filler.Kind[] kinds = Filler.Kind.values();
        Filler.Kind kind = kinds[Math.min(i, kinds.length - 1)];
        if (tiny && kind == Filler.Kind.HUGE && version != Messages.highest(type)) {
            kind = Filler.Kind.RANDOM;
        }
        long mixed = seed * 1_000_003L + name.hashCode() * 131L + version * 7_919L + i;
        ApiMessage message = new Filler(messages, mixed, kind).fill(type, Messages.schema(type, version), 0);
        out.println("C " + name + " " + version + " " + HexFormat.of().formatHex(encode(message, version)) + " "
            + text(message, version));
    }

    private int read(String changed) throws Exception {
        Map<String, Class<? extends ApiMessage>> all = Messages.all();
        BufferedReader in =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII), 1 << 16);
        long good = 0;
        long bad = 0;
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ");
            String problem;
            try {
                boolean values = !changed.contains("\n" + words[1] + " " + words[2] + " ");
                problem = readCase(all.get(words[1]), Short.parseShort(words[2]), words[3], values ? words[4] : null);
            } catch (RuntimeException e) {
                problem = e.toString();
            }
            if (problem == null) {
                good++;
            } else if (bad++ < 20) {
                out.println("DISAGREE " + words[1] + " v" + words[2] + ": " + problem + "\n  " + line);
            }
        }
        out.println("java read " + good + " cases as meant, " + bad + " not");
        return bad == 0 && good > 0 ? 0 : 1;
    }

    /** Null when Kafka reads the same value (text null: any) from the bytes and writes the same bytes again. */
    private String readCase(Class<? extends ApiMessage> type, short version, String hex, String text) throws Exception {
        if (type == null) {
            return "Kafka has no such message";
        }
        byte[] bytes = HexFormat.of().parseHex(hex.equals("-") ? "" : hex);
        ApiMessage message = (ApiMessage) Messages.create(type);
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        message.read(new ByteBufferAccessor(buffer), version);
        if (buffer.hasRemaining()) {
            return buffer.remaining() + " bytes left over";
        }
        String got = text(message, version);
        if (text != null && !got.equals(text)) {
            return "Kafka's value is " + got;
        }
        return java.util.Arrays.equals(encode(message, version), bytes) ? null : "Kafka writes other bytes";
    }

    private void rules() throws Exception {
        for (Map.Entry<String, Class<? extends ApiMessage>> entry : Messages.all().entrySet()) {
            Class<? extends ApiMessage> type = entry.getValue();
            out.println("V " + entry.getKey() + " " + Messages.lowest(type) + " " + Messages.highest(type));
            defaults(entry.getKey(), "", type);
            for (short version = Messages.lowest(type); version <= Messages.highest(type); version++) {
                Schema schema = Messages.schema(type, version);
                refusals(entry.getKey(), version, type, new ArrayList<>(), type, schema);
            }
        }
    }

    private void defaults(String name, String path, Class<?> type) throws Exception {
        Object value = Messages.create(type);
        for (Map.Entry<String, Field> entry : messages.fieldsOf(type).entrySet()) {
            Class<?> below = Dump.structureBelow(entry.getValue());
            Object set = entry.getValue().get(value);
            if (below == null || Collection.class.isAssignableFrom(entry.getValue().getType()) || set == null) {
                StringBuilder text = new StringBuilder();
                Dump.scalar(text, set);
                out.println("D " + name + " " + path + entry.getKey() + " " + text);
            }
            if (below != null) {
                defaults(name, path + entry.getKey() + "/", below);
            }
        }
    }

    /** For every field that a structure lacks in a version: does Kafka refuse to write a value for it there? */
    private void refusals(String name, short version, Class<? extends ApiMessage> root, List<Messages.Member> path,
                          Class<?> type, Schema schema) throws Exception {
        List<Messages.Member> members = messages.members(type, schema);
        for (Map.Entry<String, Field> entry : messages.fieldsOf(type).entrySet()) {
            if (members.stream().noneMatch(m -> m.name().equals(entry.getKey()))) {
                StringBuilder line = new StringBuilder("R " + name + " " + version + " ");
                path.forEach(m -> line.append(m.name()).append('/'));
                out.println(line + entry.getKey() + " " + tryAbsent(root, version, path, entry.getValue()));
            }
        }
        for (Messages.Member member : members) {
            Class<?> below = Dump.structureBelow(member.field());
            if (below != null) {
                List<Messages.Member> deeper = new ArrayList<>(path);
                deeper.add(member);
                var inner = member.type() instanceof Schema s ? s : (Schema) Messages.elementType(member.type());
                refusals(name, version, root, deeper, below, inner);
            }
        }
    }

    @SuppressWarnings("unchecked")
    private String tryAbsent(Class<? extends ApiMessage> root, short version, List<Messages.Member> path, Field leaf)
        throws Exception {
        ApiMessage message = new Filler(messages, 1, Filler.Kind.DEFAULT).fill(root, Messages.schema(root, version), 0);
        Object at = message;
        for (Messages.Member member : path) {
            Class<?> below = Dump.structureBelow(member.field());
            var inner = member.type() instanceof Schema s ? s : (Schema) Messages.elementType(member.type());
            Object next = new Filler(messages, 1, Filler.Kind.DEFAULT).fill(below, inner, 0);
            if (Collection.class.isAssignableFrom(member.field().getType())) {
                Class<?> list = member.field().getType();
                Collection<Object> items =
                    list == List.class ? new ArrayList<>() : (Collection<Object>) Messages.create(list);
                items.add(next);
                member.field().set(at, items);
            } else {
                member.field().set(at, next);
            }
            at = next;
        }
        leaf.set(at, other(leaf, leaf.get(at)));
        try {
            encode(message, version);
            return "carried";
        } catch (UnsupportedVersionException e) {
            return "refused";
        }
    }

    /** A value that is not the default. */
    @SuppressWarnings("unchecked")
    private static Object other(Field field, Object old) {
        Class<?> type = field.getType();
        if (type == boolean.class) {
            return !(Boolean) old;
        } else if (type == byte.class) {
            return (byte) 99;
        } else if (type == short.class) {
            return (short) 99;
        } else if (type == int.class) {
            return 99;
        } else if (type == long.class) {
            return 99L;
        } else if (type == double.class) {
            return 99.0;
        } else if (type == Uuid.class) {
            return new Uuid(9, 9);
        } else if (type == String.class) {
            return "99";
        } else if (type == byte[].class) {
            return new byte[] {9};
        } else if (type == ByteBuffer.class) {
            return ByteBuffer.wrap(new byte[] {9});
        } else if (Collection.class.isAssignableFrom(type)) {
            Collection<Object> items =
                type == List.class ? new ArrayList<>() : (Collection<Object>) Messages.create(type);
            items.add(element(Messages.element(field)));
            return items;
        } else if (org.apache.kafka.common.protocol.Message.class.isAssignableFrom(type)) {
            return structure(type);
        }
        return Records.of(ByteBuffer.wrap(new byte[] {9}));
    }

    private static Object element(Class<?> type) {
        if (type == Integer.class) {
            return 9;
        } else if (type == Long.class) {
            return 9L;
        } else if (type == Short.class) {
            return (short) 9;
        } else if (type == Byte.class) {
            return (byte) 9;
        } else if (type == String.class) {
            return "9";
        } else if (type == Uuid.class) {
            return new Uuid(9, 9);
        }
        return Messages.create(type);
    }

    /** A structure whose first field is not at its default. */
    private static Object structure(Class<?> type) {
        try {
            Object value = Messages.create(type);
            Field first = new Messages().fieldsOf(type).values().iterator().next();
            first.set(value, other(first, first.get(value)));
            return value;
        } catch (IllegalAccessException e) {
            throw new IllegalStateException(e);
        }
    }
}
