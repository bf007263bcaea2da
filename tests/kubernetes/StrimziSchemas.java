import com.fasterxml.jackson.databind.node.ObjectNode;
import com.github.victools.jsonschema.generator.CustomDefinition;
import com.github.victools.jsonschema.generator.Option;
import com.github.victools.jsonschema.generator.OptionPreset;
import com.github.victools.jsonschema.generator.SchemaGenerator;
import com.github.victools.jsonschema.generator.SchemaGeneratorConfigBuilder;
import com.github.victools.jsonschema.generator.SchemaVersion;
import com.github.victools.jsonschema.module.jackson.JacksonModule;
import com.github.victools.jsonschema.module.jackson.JacksonOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/** Writes a strict JSON Schema of each kind that the Strimzi operator reads: KIND.json. */
public class StrimziSchemas {
  private static final List<String> KINDS =
      List.of("kafka.Kafka", "nodepool.KafkaNodePool", "topic.KafkaTopic", "user.KafkaUser");
  // Kubernetes writes these as a string or a number, whatever their classes look like.
  private static final Set<String> SCALARS = Set.of("Quantity", "IntOrString");

  public static void main(String[] directory) throws Exception {
    var config =
        new SchemaGeneratorConfigBuilder(SchemaVersion.DRAFT_2020_12, OptionPreset.PLAIN_JSON)
            .with(
                Option.FORBIDDEN_ADDITIONAL_PROPERTIES_BY_DEFAULT,
                Option.MAP_VALUES_AS_ADDITIONAL_PROPERTIES,
                Option.NONPUBLIC_NONSTATIC_FIELDS_WITH_GETTERS)
            .with(new JacksonModule(JacksonOption.FLATTENED_ENUMS_FROM_JSONVALUE));
    config
        .forTypesInGeneral()
        .withCustomDefinitionProvider(
            (type, context) -> {
              if (!SCALARS.contains(type.getErasedType().getSimpleName())) {
                return null;
              }
              ObjectNode scalar = context.getGeneratorConfig().createObjectNode();
              scalar.putArray("type").add("string").add("integer");
              return new CustomDefinition(scalar);
            });
    var generator = new SchemaGenerator(config.build());
    for (String kind : KINDS) {
      var type = Class.forName("io.strimzi.api.kafka.model." + kind);
      var file = Path.of(directory[0], type.getSimpleName() + ".json");
      Files.writeString(file, generator.generateSchema(type).toString());
    }
  }
}
