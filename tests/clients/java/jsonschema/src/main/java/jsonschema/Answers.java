// SPDX-License-Identifier: Apache-2.0
// What Apicurio's JsonSchemaDiffLibrary answers: one line of JSON in ({"reader": text, "writer": text}), one line out:
// "ok", "refused: why", or what is incompatible, in Apicurio's words, sorted.
package jsonschema;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.apicurio.registry.rules.compatibility.jsonschema.JsonSchemaDiffLibrary;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.stream.Collectors;

public final class Answers {
  private static final ObjectMapper JSON = new ObjectMapper();

  private static String answer(String writer, String reader) {
    try {
      String found = JsonSchemaDiffLibrary.getIncompatibleDifferences(writer, reader, Map.of()).stream()
          .map(one -> one.getDiffType() + " " + one.getPathUpdated())
          .sorted()
          .collect(Collectors.joining(" | "));
      return found.isEmpty() ? "ok" : found;
    } catch (RuntimeException | StackOverflowError refused) {
      return "refused: " + refused.getClass().getSimpleName();
    }
  }

  public static void main(String[] args) throws Exception {
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      JsonNode question = JSON.readTree(line);
      String said = answer(question.get("writer").textValue(), question.get("reader").textValue());
      out.print(said.replace('\n', ' ').replace('\r', ' ') + "\n");
    }
    out.flush();
  }
}
