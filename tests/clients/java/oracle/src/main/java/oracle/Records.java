// SPDX-License-Identifier: Apache-2.0
package oracle;

import java.lang.reflect.Method;
import java.nio.ByteBuffer;

/** Kafka's MemoryRecords, whose package changed between 4.2 and 4.4. */
final class Records {
    private static final Class<?> TYPE = find();

    private Records() {
    }

    private static Class<?> find() {
        for (String name : new String[] {"internal.MemoryRecords", "MemoryRecords"}) {
            try {
                return Class.forName("org.apache.kafka.common.record." + name);
            } catch (ClassNotFoundException e) {
                continue;
            }
        }
        throw new IllegalStateException("no MemoryRecords");
    }

    static boolean is(Object value) {
        return TYPE.isInstance(value);
    }

    static boolean holds(java.lang.reflect.Field field) {
        return field.getType().isAssignableFrom(TYPE) && field.getType() != Object.class;
    }

    static Object of(ByteBuffer bytes) {
        return call("readableRecords", null, bytes);
    }

    static ByteBuffer bytes(Object records) {
        return (ByteBuffer) call("buffer", records);
    }

    private static Object call(String name, Object target, ByteBuffer... args) {
        try {
            Method method = TYPE.getMethod(name, args.length == 0 ? new Class<?>[0] : new Class<?>[] {ByteBuffer.class});
            return method.invoke(target, (Object[]) args);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }
}
