// SPDX-License-Identifier: Apache-2.0
// Values that Apache Avro makes up for schemas and writes: a line of JSON with a schema's text in, lines out, each
// {"schema", "hex": binary, "blocks": binary with sizes of blocks, "json": JSON encoding}. Schemas it can make up no value for
// (recursive without end, empty unions) give none.
package avro;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.Encoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.util.RandomData;

public final class Payloads {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int VALUES = 3;

  private static void write(Schema schema, Object value, Encoder encoder) throws IOException {
    new GenericDatumWriter<Object>(schema, new GenericData()).write(value, encoder);
    encoder.flush();
  }

  private static String hex(ByteArrayOutputStream bytes) {
    StringBuilder out = new StringBuilder();
    for (byte b : bytes.toByteArray()) {
      out.append(String.format("%02x", b));
    }
    return out.toString();
  }

  private static ObjectNode line(String text, Schema schema, Object value) throws IOException {
    ByteArrayOutputStream plain = new ByteArrayOutputStream();
    ByteArrayOutputStream blocks = new ByteArrayOutputStream();
    ByteArrayOutputStream json = new ByteArrayOutputStream();
    write(schema, value, EncoderFactory.get().binaryEncoder(plain, null));
    write(schema, value, new EncoderFactory().configureBlockSize(64).blockingBinaryEncoder(blocks, null));
    write(schema, value, EncoderFactory.get().jsonEncoder(schema, json));
    return JSON.createObjectNode().put("schema", text).put("hex", hex(plain)).put("blocks", hex(blocks))
        .put("json", json.toString(StandardCharsets.UTF_8));
  }

  public static void main(String[] arguments) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    long seed = 0;
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String text = JSON.readTree(line).get("reader").textValue();
      try {
        Schema schema = new Schema.Parser().setValidateDefaults(false).parse(text);
        for (Object value : new RandomData(schema, VALUES, ++seed)) {
          out.println(line(text, schema, value));
        }
      } catch (RuntimeException | StackOverflowError none) {
        // no schema, or none that has a value of bounded size
      }
    }
    out.flush();
  }
}
