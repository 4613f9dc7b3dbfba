// SPDX-License-Identifier: Apache-2.0
// Runs Kafka's command-line tools one after the other in one JVM, since starting one for each takes far longer than
// the tools do. Standard input has, for each: main class, number of arguments, the arguments, number of bytes of the
// tool's own input, those bytes; all numbers and words on lines of their own. Standard output has, for each: number
// of bytes of what the tool printed, exit status, and those bytes.
//   java -cp 'LIB/*' ManyTools.java
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import org.apache.kafka.common.utils.Exit;

public class ManyTools {
    /** What Exit.exit() becomes. */
    static class Ended extends Error {
        final int status;

        Ended(int status) {
            super("exit " + status, null, false, false);
            this.status = status;
        }
    }

    /** What tools do at the end of the process: done behind each of them. */
    private static final Deque<Runnable> hooks = new ArrayDeque<>();

    private static String line(InputStream in) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (int c = in.read(); c != '\n'; c = in.read()) {
            if (c < 0)
                return bytes.size() == 0 ? null : bytes.toString(StandardCharsets.UTF_8);
            bytes.write(c);
        }
        return bytes.toString(StandardCharsets.UTF_8);
    }

    private static int run(String tool, String[] arguments) {
        int[] status = {0};
        Thread thread = new Thread(() -> {
            try {
                Class.forName(tool).getMethod("main", String[].class).invoke(null, (Object) arguments);
            } catch (java.lang.reflect.InvocationTargetException thrown) {
                if (thrown.getCause() instanceof Ended)
                    status[0] = ((Ended) thrown.getCause()).status;
                else {
                    thrown.getCause().printStackTrace();
                    status[0] = 1;
                }
            } catch (ReflectiveOperationException missing) {
                missing.printStackTrace();
                status[0] = 127;
            }
        }, "main");
        thread.start();
        try {
            thread.join(60000);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
        boolean late = !hooks.isEmpty();
        while (!hooks.isEmpty()) {
            try {
                hooks.pop().run();
            } catch (Throwable thrown) {
                System.out.println("at the end: " + thrown);
            }
        }
        try {
            thread.join(10000);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
        try {
            Thread.sleep(late ? 300 : 0); // what threads of a tool that was stopped still print belongs to it
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
        return thread.isAlive() ? 124 : status[0];
    }

    public static void main(String[] none) throws Exception {
        DataInputStream in = new DataInputStream(System.in);
        PrintStream out = System.out;
        Exit.setExitProcedure((status, message) -> {
            throw new Ended(status);
        });
        Exit.setHaltProcedure((status, message) -> {
            throw new Ended(status);
        });
        Exit.setShutdownHookAdder((name, hook) -> hooks.push(hook));
        for (String tool = line(in); tool != null; tool = line(in)) {
            String[] arguments = new String[Integer.parseInt(line(in))];
            for (int i = 0; i < arguments.length; i++)
                arguments[i] = line(in);
            byte[] input = new byte[Integer.parseInt(line(in))];
            in.readFully(input);
            ByteArrayOutputStream printed = new ByteArrayOutputStream();
            PrintStream stream = new PrintStream(printed, true, StandardCharsets.UTF_8);
            System.setIn(new ByteArrayInputStream(input));
            System.setOut(stream);
            System.setErr(stream);
            int status = run(tool, arguments);
            stream.flush();
            byte[] bytes = printed.toByteArray();
            out.println(bytes.length);
            out.println(status);
            out.write(bytes);
            out.flush();
        }
    }
}
