// SPDX-License-Identifier: Apache-2.0
// The schema registry as franz-go's sr uses it, records through kgo: schemas BOOTSTRAP REGISTRY[,REGISTRY] STEP ends
// with 0, or with 1 and what went wrong. Each step takes subjects and topics of its own.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sr"
)

type order struct {
	ID   int64  `avro:"id" json:"id"`
	Item string `avro:"item" json:"item"`
}

const (
	orderText = `{"type":"record","name":"Order","namespace":"clients","fields":[{"name":"id","type":"long"},{"name":"item","type":"string"}]}`
	newerText = `{"type":"record","name":"Order","namespace":"clients","fields":[{"name":"id","type":"long"},{"name":"item","type":"string"},{"name":"count","type":"int","default":1}]}`
	otherText = `{"type":"record","name":"Order","namespace":"clients","fields":[{"name":"id","type":"long"},{"name":"item","type":"string"},{"name":"price","type":"double"}]}`
)

var (
	ctx            context.Context
	bootstrap      string
	urls           []string
	registry, last *sr.Client // last: of another process, where there are more
	name           = fmt.Sprintf("t%d-%d", os.Getpid(), time.Now().UnixMilli())
	subject        = name + "-value"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func expect(holds bool, what ...any) {
	if !holds {
		panic(fmt.Errorf("not as expected: %v", what))
	}
}

// The error must be the registry's of this number.
func refused(code int, err error) *sr.ResponseError {
	var answer *sr.ResponseError
	expect(errors.As(err, &answer) && answer.ErrorCode == code, code, err)
	return answer
}

// Waits until all processes answer alike: one that does not own the registry's topic reads a moment later.
func arrived(path string) {
	ask := func(url string) string {
		answer := must(http.Get(url + path))
		defer answer.Body.Close()
		return string(must(io.ReadAll(answer.Body)))
	}
	for _, url := range urls[1:] {
		for ask(url) != ask(urls[0]) {
			expect(ctx.Err() == nil, path, "is not alike everywhere")
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func avroSchema(text string, references ...sr.SchemaReference) sr.Schema {
	return sr.Schema{Schema: text, References: references}
}

func create(text string, references ...sr.SchemaReference) sr.SubjectSchema {
	return must(registry.CreateSchema(ctx, subject, avroSchema(text, references...)))
}

// Values through a topic, as bytes of the consumer.
func through(values [][]byte) [][]byte {
	client := must(kgo.NewClient(kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.DefaultProduceTopic(name),
		kgo.ConsumeTopics(name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())))
	defer client.Close()
	request := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 1, 1
	request.Topics = append(request.Topics, topic)
	expect(must(request.RequestWith(ctx, client)).Topics[0].ErrorCode == 0, "topic")
	for _, value := range values {
		if err := client.ProduceSync(ctx, &kgo.Record{Value: value}).FirstErr(); err != nil {
			panic(err)
		}
	}
	var got [][]byte
	for len(got) < len(values) && ctx.Err() == nil {
		client.PollFetches(ctx).EachRecord(func(record *kgo.Record) { got = append(got, record.Value) })
	}
	expect(len(got) == len(values), len(got), "records")
	return got
}

func serde(id int, text string, options ...sr.EncodingOpt) *sr.Serde {
	schema := avro.MustParse(text)
	made := sr.NewSerde()
	made.Register(id, order{}, append(options,
		sr.EncodeFn(func(value any) ([]byte, error) { return avro.Marshal(schema, value) }),
		sr.DecodeFn(func(data []byte, value any) error { return avro.Unmarshal(schema, data, value) }))...)
	return made
}

// Serde, topic, serde.
func wire() {
	stored := create(orderText)
	coder, values, encoded := serde(stored.ID, orderText), []order{}, [][]byte{}
	for n := range 100 {
		values = append(values, order{int64(n), fmt.Sprintf("item %d", n)})
		encoded = append(encoded, coder.MustEncode(values[n]))
	}
	for n, data := range through(encoded) {
		id, _, err := coder.DecodeID(data)
		expect(err == nil && id == stored.ID && data[0] == 0 && binary.BigEndian.Uint32(data[1:5]) == uint32(id), data)
		reader := serde(id, must(last.SchemaByID(ctx, id)).Schema)
		var value order
		expect(reader.Decode(data, &value) == nil && value == values[n], value)
	}
}

func register() {
	stored := create(orderText)
	expect(stored.Version == 1 && stored.Subject == subject && create(orderText).ID == stored.ID, stored)
	expect(must(registry.RegisterSchema(ctx, subject, avroSchema(orderText), -1, -1)) == stored.ID, "the same id")
	found := must(last.LookupSchema(ctx, subject, avroSchema(orderText)))
	expect(found.ID == stored.ID && found.Version == 1, found)
	expect(must(last.SchemaTextByID(ctx, stored.ID)) == must(last.SchemaTextByVersion(ctx, subject, 1)), "one text")
	expect(slices.Contains(must(last.SubjectsByID(ctx, stored.ID)), subject), "subjects of the id")
	expect(slices.Contains(must(last.SchemaVersionsByID(ctx, stored.ID)), sr.SubjectVersion{Subject: subject, Version: 1}), "versions")
	expect(slices.Contains(must(last.Subjects(sr.WithParams(ctx, sr.SubjectPrefix(name)))), subject), "subjects")
	expect(slices.Contains(must(last.SupportedTypes(ctx)), sr.TypeAvro), "types")
	_, err := last.LookupSchema(ctx, subject, avroSchema(newerText))
	refused(40403, err)
	_, err = last.SchemaByVersion(ctx, name, -1)
	refused(40401, err)
	// Members that older clients do not know are sent to those that say so.
	newest := must(sr.NewClient(sr.URLs(urls...), sr.PreReq(func(request *http.Request) error {
		request.Header.Set("Confluent-Accept-Unknown-Properties", "true")
		return nil
	})))
	guid := must(newest.SchemaByVersion(ctx, subject, 1)).GUID
	expect(len(guid) == 36 && strings.Contains(must(last.SchemaByGUID(ctx, guid)).Schema.Schema, "Order"), guid)
	expect(slices.Contains(must(last.SchemaIDsByGUID(ctx, guid)), sr.ContextID{Context: ".", ID: stored.ID}), guid)
}

// A reader with the newer schema reads what the older one wrote.
func evolve() {
	first := create(orderText)
	data := through([][]byte{serde(first.ID, orderText).MustEncode(order{1, "x"})})[0]
	newer := create(newerText)
	expect(newer.Version == 2 && newer.ID != first.ID, newer)
	arrived("/subjects/" + subject + "/versions")
	latest := must(last.SchemaByVersion(ctx, subject, -1))
	writer := avro.MustParse(must(last.SchemaByID(ctx, first.ID)).Schema)
	resolved := must(avro.NewSchemaCompatibility().Resolve(avro.MustParse(latest.Schema.Schema), writer))
	var value struct {
		ID    int64  `avro:"id"`
		Item  string `avro:"item"`
		Count int    `avro:"count"`
	}
	expect(avro.Unmarshal(resolved, data[5:], &value) == nil && value.Count == 1 && value.Item == "x", value)
	expect(len(must(last.Schemas(ctx, subject))) == 2, "two versions")
}

// What does not fit is refused, by registering and by asking; what is no schema, too.
func reject() {
	create(orderText)
	_, err := registry.CreateSchema(ctx, subject, avroSchema(otherText))
	answer := refused(40901, err)
	expect(answer.StatusCode == 409 && strings.Contains(answer.Message, "READER_FIELD_MISSING_DEFAULT_VALUE"), answer)
	check := must(last.CheckCompatibility(sr.WithParams(ctx, sr.Verbose), subject, -1, avroSchema(otherText)))
	expect(!check.Is && len(check.Messages) > 0, check)
	expect(must(last.CheckCompatibility(ctx, subject, 1, avroSchema(newerText))).Is, "the newer one fits")
	_, err = registry.CreateSchema(ctx, subject, avroSchema(`{"type":"nothing"}`))
	refused(42201, err)
}

// Softly and for good, a version and a subject.
func remove() {
	text := func(fields string) string {
		return fmt.Sprintf(`{"type":"record","name":"R%d","fields":[{"name":"x","type":"int"}%s]}`, os.Getpid(), fields)
	}
	first := create(text(""))
	create(text(`,{"name":"y","type":"int","default":1}`))
	refused(40407, registry.DeleteSchema(ctx, subject, 2, sr.HardDelete))
	expect(registry.DeleteSchema(ctx, subject, 2, sr.SoftDelete) == nil, "soft")
	arrived("/subjects/" + subject + "/versions")
	expect(slices.Equal(must(last.SubjectVersions(ctx, subject)), []int{1}), "one is left")
	expect(slices.Equal(must(last.SubjectVersions(sr.WithParams(ctx, sr.ShowDeleted), subject)), []int{1, 2}), "both")
	refused(40406, registry.DeleteSchema(ctx, subject, 2, sr.SoftDelete))
	expect(registry.DeleteSchema(ctx, subject, 2, sr.HardDelete) == nil, "hard")
	_, err := registry.DeleteSubject(ctx, subject, sr.HardDelete)
	refused(40405, err)
	expect(slices.Equal(must(registry.DeleteSubject(ctx, subject, sr.SoftDelete)), []int{1}), "soft subject")
	arrived("/subjects")
	expect(!slices.Contains(must(last.Subjects(ctx)), subject), "gone")
	_, err = registry.DeleteSubject(ctx, subject, sr.SoftDelete)
	refused(40404, err)
	expect(strings.Contains(must(last.SchemaByID(ctx, first.ID)).Schema, "record"), "still read by id")
	expect(slices.Equal(must(registry.DeleteSubject(ctx, subject, sr.HardDelete)), []int{1}), "hard subject")
	arrived(fmt.Sprint("/schemas/ids/", first.ID))
	_, err = last.SchemaByID(ctx, first.ID)
	refused(40403, err)
}

// A schema of two subjects, through a topic.
func references() {
	part := must(registry.CreateSchema(ctx, name+"-part",
		avroSchema(`{"type":"record","name":"Part","namespace":"clients","fields":[{"name":"name","type":"string"}]}`)))
	whole := create(`{"type":"record","name":"Whole","namespace":"clients","fields":[{"name":"part","type":"clients.Part"}]}`,
		sr.SchemaReference{Name: "clients.Part", Subject: part.Subject, Version: part.Version})
	stored := must(last.SchemaByID(ctx, whole.ID))
	expect(len(stored.References) == 1 && stored.References[0].Subject == part.Subject, stored)
	cache := &avro.SchemaCache{}
	for _, reference := range stored.References {
		must(avro.ParseWithCache(must(last.SchemaByVersion(ctx, reference.Subject, reference.Version)).Schema.Schema, "", cache))
	}
	schema := must(avro.ParseWithCache(stored.Schema, "", cache))
	value := map[string]any{"part": map[string]any{"name": "wheel"}}
	data := through([][]byte{must(sr.Encode(value, new(sr.ConfluentHeader), whole.ID, nil,
		func(value any) ([]byte, error) { return avro.Marshal(schema, value) }))})[0]
	var read map[string]any
	expect(avro.Unmarshal(schema, data[5:], &read) == nil && reflect.DeepEqual(read, value), read)
	usages := must(last.SchemaReferences(ctx, part.Subject, part.Version))
	expect(len(usages) == 1 && usages[0].ID == whole.ID, usages)
	_, err := registry.DeleteSubject(ctx, part.Subject, sr.SoftDelete)
	refused(42206, err)
	resolved := must(last.SchemaByID(sr.WithParams(ctx, sr.Format("resolved")), whole.ID))
	must(avro.ParseWithCache(resolved.Schema, "", &avro.SchemaCache{}))
}

// Levels and modes of a subject and of everything, contexts.
func settings() {
	expect(last.Compatibility(ctx)[0].Level == sr.CompatBackward, "of everything")
	set := registry.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatFullTransitive}, subject)
	expect(set[0].Err == nil && last.Compatibility(ctx, subject)[0].Level == sr.CompatFullTransitive, set)
	expect(registry.ResetCompatibility(ctx, subject)[0].Err == nil, "reset")
	arrived("/config/" + subject)
	refused(40408, last.Compatibility(ctx, subject)[0].Err)
	expect(last.Compatibility(sr.WithParams(ctx, sr.DefaultToGlobal), subject)[0].Level == sr.CompatBackward, "of all")
	expect(registry.SetMode(ctx, sr.ModeReadOnly, subject)[0].Err == nil, "mode")
	modes := last.Mode(ctx, "", subject)
	expect(modes[0].Mode == sr.ModeReadWrite && modes[1].Mode == sr.ModeReadOnly, modes)
	_, err := registry.CreateSchema(ctx, subject, avroSchema(orderText))
	refused(42205, err)
	expect(registry.ResetMode(ctx, subject)[0].Err == nil, "reset")
	arrived("/mode/" + subject)
	refused(40409, last.Mode(ctx, subject)[0].Err)
	scoped := must(sr.NewClient(sr.URLs(urls...), sr.DefaultSchemaContext("."+name)))
	expect(must(scoped.CreateSchema(ctx, subject, avroSchema(orderText))).ID == 1, "ids of a context")
	arrived("/contexts")
	expect(slices.Contains(must(last.Contexts(ctx)), "."+name), "context")
	inner := ":." + name + ":" + subject
	expect(must(last.SchemaByVersion(ctx, inner, 1)).ID == 1, "by its whole name")
	must(registry.DeleteSubject(ctx, inner, sr.SoftDelete))
	must(registry.DeleteSubject(ctx, inner, sr.HardDelete))
	expect(registry.DeleteContext(ctx, "."+name) == nil, "the context is gone")
}

// JSON values by the serde.
func jsonWire() {
	text := `{"title":"Order","type":"object","properties":{"id":{"type":"integer"},"item":{"type":"string"}},"additionalProperties":false}`
	stored := must(registry.CreateSchema(ctx, subject, sr.Schema{Schema: text, Type: sr.TypeJSON}))
	coder := sr.NewSerde()
	coder.Register(stored.ID, order{}, sr.EncodeFn(json.Marshal), sr.DecodeFn(json.Unmarshal))
	data := through([][]byte{coder.MustEncode(order{7, "x"})})[0]
	var value order
	expect(coder.Decode(data, &value) == nil && value == order{7, "x"}, value)
	expect(must(last.SchemaByID(ctx, stored.ID)).Type == sr.TypeJSON, "type")
	_, err := registry.CreateSchema(ctx, subject, sr.Schema{Schema: strings.Replace(text, "integer", "boolean", 1), Type: sr.TypeJSON})
	refused(40901, err)
}

// The place of the message in its file, between header and payload.
func protobufWire() {
	text := `syntax = "proto3"; package clients; message First { int32 x = 1; } message Order { int64 id = 1; }`
	stored := must(registry.CreateSchema(ctx, subject, sr.Schema{Schema: text, Type: sr.TypeProtobuf}))
	coder := sr.NewSerde()
	raw := sr.EncodeFn(func(value any) ([]byte, error) { return append([]byte{8}, byte(value.(order).ID)), nil })
	coder.Register(stored.ID, order{}, sr.Index(1), raw, sr.DecodeFn(func(data []byte, value any) error {
		value.(*order).ID = int64(data[1])
		return nil
	}))
	data := through([][]byte{coder.MustEncode(order{ID: 7})})[0]
	expect(bytes.Equal(data[5:], []byte{2, 2, 8, 7}), data)
	var value order
	expect(coder.Decode(data, &value) == nil && value.ID == 7, value)
	expect(must(last.SchemaByID(ctx, stored.ID)).Type == sr.TypeProtobuf, "type")
	_, err := registry.CreateSchema(ctx, subject, sr.Schema{Schema: strings.Replace(text, "int64", "string", 1), Type: sr.TypeProtobuf})
	refused(40901, err)
}

func main() {
	steps := map[string]func(){"wire": wire, "register": register, "evolve": evolve, "reject": reject, "delete": remove,
		"references": references, "settings": settings, "json_wire": jsonWire, "protobuf_wire": protobufWire}
	var stop context.CancelFunc
	ctx, stop = context.WithTimeout(context.Background(), 90*time.Second)
	defer stop()
	bootstrap, urls = os.Args[1], strings.Split(os.Args[2], ",")
	registry = must(sr.NewClient(sr.URLs(urls[0])))
	last = must(sr.NewClient(sr.URLs(urls[len(urls)-1])))
	steps[os.Args[3]]()
}
