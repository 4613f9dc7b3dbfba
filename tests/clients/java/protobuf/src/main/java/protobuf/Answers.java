// SPDX-License-Identifier: Apache-2.0
// What Apicurio Registry says about pairs of Protobuf schemas: one line in (writer and reader, each in base64), one line
// out: "compatible", "incompatible" or "cannot tell". See ../../../../../../protobuf.py.
package protobuf;

import io.apicurio.registry.rules.compatibility.protobuf.ProtobufCompatibilityCheckerLibrary;
import io.apicurio.registry.utils.protobuf.schema.ProtobufFile;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;

public final class Answers {
    private static ProtobufFile file(String base64) {
        return new ProtobufFile(new String(Base64.getDecoder().decode(base64), StandardCharsets.UTF_8));
    }

    private static String answer(String line) {
        String[] texts = line.split(" ");
        try {
            boolean fits = new ProtobufCompatibilityCheckerLibrary(file(texts[0]), file(texts[1])).validate();
            return fits ? "compatible" : "incompatible";
        } catch (RuntimeException failed) {
            return "cannot tell";
        }
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            System.out.println(answer(line));
        }
    }
}
