// SPDX-License-Identifier: Apache-2.0
// What Apache Avro answers: one line of JSON in ({"refs": [texts], "reader": text, "writer": text}), one line out, in
// the words of tests/golden/schema_answers.c, which reads the same lines.
package avro;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.avro.AvroRuntimeException;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;
import org.apache.avro.SchemaNormalization;

public final class Answers {
  private static final ObjectMapper JSON = new ObjectMapper();

  private record Parsed(Schema schema, String said) {}

  private static Schema parse(JsonNode refs, String text, boolean strict, List<Schema> roots) {
    Schema.Parser parser = new Schema.Parser();
    parser.setValidateDefaults(strict);
    for (JsonNode ref : refs) {
      roots.add(parser.parse(ref.textValue()));
    }
    return parser.parse(text);
  }

  private static String hex(byte[] bytes) {
    StringBuilder out = new StringBuilder();
    for (byte b : bytes) {
      out.append(String.format("%02x", b));
    }
    return out.toString();
  }

  private static boolean strictly(JsonNode refs, String text) {
    try {
      parse(refs, text, true, new ArrayList<>());
      return true;
    } catch (RuntimeException refused) {
      return false;
    }
  }

  private static Parsed answer(JsonNode refs, String text) throws Exception {
    Schema schema;
    List<Schema> roots = new ArrayList<>();
    try {
      schema = parse(refs, text, false, roots);
    } catch (RuntimeException | StackOverflowError refused) {
      return new Parsed(null, "refused");
    }
    List<String> words = new ArrayList<>();
    words.add(strictly(refs, text) ? "good" : "bad default");
    words.add(schema.toString(roots, false));
    words.add(schema.toString());
    words.add(SchemaNormalization.toParsingForm(schema));
    for (String kind : new String[] {"CRC-64-AVRO", "MD5", "SHA-256"}) {
      words.add(hex(SchemaNormalization.parsingFingerprint(kind, schema)));
    }
    return new Parsed(schema, String.join("\t", words));
  }

  private static String check(Schema reader, Schema writer) {
    try {
      return SchemaCompatibility.checkReaderWriterCompatibility(reader, writer).getResult().getIncompatibilities()
          .stream().limit(100)
          .map(one -> one.getType() + " " + one.getLocation() + " " + one.getMessage())
          .collect(Collectors.joining("\t"));
    } catch (AvroRuntimeException thrown) {
      return "AMBIGUOUS_FIELD";
    }
  }

  public static void main(String[] arguments) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      JsonNode question = JSON.readTree(line);
      JsonNode refs = question.path("refs");
      Parsed reader = answer(refs, question.get("reader").textValue());
      Parsed writer = answer(refs, question.get("writer").textValue());
      String verdict = reader.schema() == null || writer.schema() == null ? "" : check(reader.schema(), writer.schema());
      out.println(reader.said() + "\t|\t" + writer.said() + "\t|\t" + verdict);
    }
    out.flush();
  }
}
