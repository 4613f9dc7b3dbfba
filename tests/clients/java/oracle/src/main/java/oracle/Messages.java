// SPDX-License-Identifier: Apache-2.0
package oracle;

import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.jar.JarFile;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;

/**
 * Every message class that Apache Kafka generated from its own definitions, found in the jars on the class
 * path, and what a version of one contains: its Schema says which fields there are, reflection reaches them.
 */
final class Messages {
    static final String[] CLASSES = {
        "org.apache.kafka.common.message.ProduceRequestData",
        "org.apache.kafka.coordinator.group.generated.OffsetCommitKey",
        "org.apache.kafka.coordinator.transaction.generated.TransactionLogKey",
        "org.apache.kafka.coordinator.share.generated.ShareSnapshotKey",
    };

    /** A field of one version: tag -1 when it is not tagged. */
    record Member(Field field, org.apache.kafka.common.protocol.types.Type type, int tag) {
        String name() {
            return field.getName().toLowerCase(Locale.ROOT);
        }
    }

    private final Map<Class<?>, Map<String, Field>> fields = new LinkedHashMap<>();
    private final Map<Schema, List<Member>> members = new java.util.IdentityHashMap<>();

    /** Name as in Kafka's definitions to class, in alphabetical order. */
    static Map<String, Class<? extends ApiMessage>> all() throws Exception {
        Map<String, Class<? extends ApiMessage>> found = new TreeMap<>();
        for (String sample : CLASSES) {
            Class<?> known = Class.forName(sample);
            String folder = known.getPackageName().replace('.', '/') + "/";
            Path jar = Path.of(known.getProtectionDomain().getCodeSource().getLocation().toURI());
            for (String entry : entries(jar, folder)) {
                Class<?> type = Class.forName(entry);
                if (ApiMessage.class.isAssignableFrom(type) && !type.isInterface()) {
                    found.put(nameOf(type), type.asSubclass(ApiMessage.class));
                }
            }
        }
        return found;
    }

    private static List<String> entries(Path jar, String folder) throws IOException {
        List<String> names = new ArrayList<>();
        try (JarFile file = new JarFile(jar.toFile())) {
            file.stream().map(e -> e.getName()).filter(n -> n.startsWith(folder) && n.endsWith(".class"))
                .filter(n -> !n.contains("$") && !n.contains("JsonConverter"))
                .forEach(n -> names.add(n.substring(0, n.length() - ".class".length()).replace('/', '.')));
        }
        return names;
    }

    /** Requests, responses and headers have "Data" behind the name of their definition. */
    private static String nameOf(Class<?> type) {
        return type.getSimpleName().replaceAll("(Request|Response|Header)Data$", "$1");
    }

    static short lowest(Class<?> type) throws Exception {
        return type.getField("LOWEST_SUPPORTED_VERSION").getShort(null);
    }

    static short highest(Class<?> type) throws Exception {
        return type.getField("HIGHEST_SUPPORTED_VERSION").getShort(null);
    }

    static Schema schema(Class<?> type, short version) throws Exception {
        return ((Schema[]) type.getField("SCHEMAS").get(null))[version];
    }

    /** Fields of a generated class by lower-case name, without the machinery of collections. */
    Map<String, Field> fieldsOf(Class<?> type) {
        return fields.computeIfAbsent(type, t -> {
            Map<String, Field> map = new LinkedHashMap<>();
            for (Field field : t.getDeclaredFields()) {
                String name = field.getName();
                if (java.lang.reflect.Modifier.isStatic(field.getModifiers()) || name.equals("_unknownTaggedFields")
                    || ((name.equals("next") || name.equals("prev")) && field.getType() == int.class)) {
                    continue;
                }
                field.setAccessible(true);
                map.put(name.toLowerCase(Locale.ROOT), field);
            }
            return map;
        });
    }

    /** What the version has, untagged fields in their order on the wire, then tagged ones by tag. */
    List<Member> members(Class<?> type, Schema schema) {
        List<Member> list = members.get(schema);
        if (list != null) {
            return list;
        }
        list = new ArrayList<>();
        for (BoundField bound : schema.fields()) {
            if (bound.def.type instanceof TaggedFields tagged) {
                for (var entry : new TreeMap<>(tagged.fields()).entrySet()) {
                    list.add(new Member(find(type, entry.getValue().name), entry.getValue().type, entry.getKey()));
                }
            } else {
                list.add(new Member(find(type, bound.def.name), bound.def.type, -1));
            }
        }
        members.put(schema, list);
        return list;
    }

    static boolean flexible(Schema schema) {
        for (BoundField bound : schema.fields()) {
            if (bound.def.type instanceof TaggedFields) {
                return true;
            }
        }
        return false;
    }

    private Field find(Class<?> type, String snake) {
        Field field = fieldsOf(type).get(snake.replace("_", ""));
        if (field == null) {
            throw new IllegalStateException(type + " has no field for " + snake);
        }
        return field;
    }

    /** Class of the elements of a list or of one of Kafka's hashed collections. */
    static Class<?> element(Field field) {
        Type generic = field.getGenericType();
        if (!(generic instanceof ParameterizedType)) {
            generic = field.getType().getGenericSuperclass();
        }
        return (Class<?>) ((ParameterizedType) generic).getActualTypeArguments()[0];
    }

    static org.apache.kafka.common.protocol.types.Type elementType(org.apache.kafka.common.protocol.types.Type type) {
        return type.arrayElementType().get();
    }

    /** A fresh instance of a message, structure or collection. */
    static Object create(Class<?> type) {
        try {
            var constructor = type.getDeclaredConstructor();
            constructor.setAccessible(true);
            return constructor.newInstance();
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(type.getName(), e);
        }
    }
}
