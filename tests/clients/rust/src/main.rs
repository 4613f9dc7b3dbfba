// SPDX-License-Identifier: Apache-2.0
// The client's part of the scenario on the rdkafka crate, which brings its own librdkafka.
// Arguments and output lines are described in tests/clients/README.md.

use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

static STOP: AtomicBool = AtomicBool::new(false);
const WAIT: Duration = Duration::from_secs(10);

struct Options(HashMap<String, String>);

impl Options {
    fn text(&self, key: &str) -> &str {
        self.0.get(key).map_or("", |value| value)
    }

    fn number(&self, key: &str, otherwise: usize) -> usize {
        self.0.get(key).map_or(otherwise, |value| value.parse().unwrap())
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.text("bootstrap")).set("client.id", "rdkafka").set("debug", "protocol");
        config.set_log_level(RDKafkaLogLevel::Debug);
        config
    }
}

fn say(line: String) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("standard output");
}

// librdkafka's log, debug included, to standard error.
fn log(message: &str) {
    eprintln!("{message}");
}

struct Acknowledged(AtomicUsize);

impl ClientContext for Acknowledged {
    fn log(&self, _: RDKafkaLogLevel, _: &str, message: &str) {
        log(message)
    }
}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        if let Err((error, _)) = result {
            eprintln!("{error}");
            std::process::exit(1);
        }
        let count = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        if count % 1000 == 0 {
            say(format!("acked\t{count}"));
        }
    }
}

fn produce(options: &Options) {
    let (count, first, rate) = (options.number("count", 1), options.number("first", 0), options.number("rate", 0));
    let mut config = options.config();
    config.set("enable.idempotence", "true").set("linger.ms", "5").set("partitioner", "murmur2_random");
    config.set("compression.type", options.text("codec"));
    let producer: ThreadedProducer<Acknowledged> =
        config.create_with_context(Acknowledged(AtomicUsize::new(0))).expect("producer");
    let filler = "the quick brown fox jumps over the lazy dog; ".repeat(2);
    let start = Instant::now();
    for i in 0..count {
        let (key, value) = (format!("key-{}", (first + i) % 997), format!("{}:{filler}", first + i));
        let mut record = BaseRecord::to(options.text("topic")).key(&key).payload(&value);
        while let Err((error, again)) = producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                panic!("{error}");
            }
            record = again;
            std::thread::sleep(Duration::from_millis(10));
        }
        if rate > 0 && (i + 1) % 100 == 0 {
            let due = start + Duration::from_secs_f64((i + 1) as f64 / rate as f64);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }
    producer.flush(Duration::from_secs(120)).expect("flush");
    say(format!("acked\t{}", producer.context().0.load(Ordering::SeqCst)));
}

struct Member;

impl ClientContext for Member {
    fn log(&self, _: RDKafkaLogLevel, _: &str, message: &str) {
        log(message)
    }
}

impl ConsumerContext for Member {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let mut held: Vec<i32> = Vec::new();
        if let Rebalance::Assign(partitions) = rebalance {
            held = partitions.elements().iter().map(|one| one.partition()).collect();
        }
        held.sort_unstable();
        say(format!("A\t{}", held.iter().map(i32::to_string).collect::<Vec<_>>().join(",")));
    }
}

fn consumer(options: &Options) -> BaseConsumer<Member> {
    let mut config = options.config();
    config.set("group.id", if options.text("group").is_empty() { "none" } else { options.text("group") });
    config.set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    config.set("heartbeat.interval.ms", "500").set("session.timeout.ms", options.number("session", 6000).to_string());
    config.create_with_context(Member).expect("consumer")
}

// A round that a rebalance overtook is not committed; its records come again.
fn commit(consumer: &BaseConsumer<Member>, topic: &str, done: &BTreeMap<i32, i64>) {
    let mut list = TopicPartitionList::new();
    for (&partition, &offset) in done {
        list.add_partition_offset(topic, partition, Offset::Offset(offset)).expect("offset");
    }
    match consumer.commit(&list, CommitMode::Sync) {
        Err(error) => say(format!("N\t{error}")),
        Ok(()) => done.iter().for_each(|(partition, offset)| say(format!("C\t{partition}\t{offset}"))),
    }
}

extern "C" fn on_stop(_: i32) {
    STOP.store(true, Ordering::SeqCst);
}

extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
}

fn consume(options: &Options) {
    // SAFETY: the handler only stores to an atomic. 15 is SIGTERM.
    unsafe { signal(15, on_stop) };
    let (consumer, count) = (consumer(options), options.number("count", usize::MAX));
    consumer.subscribe(&[options.text("topic")]).expect("subscribe");
    let mut seen = 0;
    while seen < count && !STOP.load(Ordering::SeqCst) {
        let mut done = BTreeMap::new();
        let round = Instant::now();
        while seen < count && done.len() < 500 && round.elapsed() < Duration::from_millis(100) {
            match consumer.poll(Duration::from_millis(20)) {
                Some(Ok(message)) => {
                    seen += 1;
                    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"")).into_owned();
                    let (key, value) = (text(message.key()), text(message.payload()));
                    say(format!("R\t{}\t{}\t{key}\t{value}", message.partition(), message.offset()));
                    done.insert(message.partition(), message.offset() + 1);
                }
                Some(Err(error)) => say(format!("N\t{error}")),
                None => {}
            }
        }
        if !done.is_empty() {
            commit(&consumer, options.text("topic"), &done);
        }
    }
    consumer.unsubscribe();
    drop(consumer);
}

fn partitions(options: &Options) -> Vec<(i32, i32, Vec<i32>)> {
    let consumer = consumer(options);
    let metadata = consumer.fetch_metadata(Some(options.text("topic")), WAIT).expect("metadata");
    let found = metadata.topics()[0].partitions();
    found.iter().map(|one| (one.id(), one.leader(), one.replicas().to_vec())).collect()
}

fn describe(options: &Options) {
    for (number, leader, replicas) in partitions(options) {
        let replicas: Vec<String> = replicas.iter().map(i32::to_string).collect();
        say(format!("D\t{number}\t{leader}\t{}", replicas.join(",")));
    }
}

fn offsets(options: &Options) {
    let consumer = consumer(options);
    let mut wanted = TopicPartitionList::new();
    for (number, ..) in partitions(options) {
        let timestamp = Offset::Offset(options.text("timestamp").parse().expect("timestamp"));
        wanted.add_partition_offset(options.text("topic"), number, timestamp).expect("offset");
    }
    for found in consumer.offsets_for_times(wanted, WAIT).expect("offsets").elements() {
        say(format!("O\t{}\t{}", found.partition(), found.offset().to_raw().unwrap_or(-1)));
    }
}
fn admin(options: &Options) -> AdminClient<DefaultClientContext> {
    options.config().create().expect("admin")
}

fn create(options: &Options) {
    let replication = TopicReplication::Fixed(options.number("replication", 1) as i32);
    let topic = NewTopic::new(options.text("topic"), options.number("partitions", 1) as i32, replication);
    let admin = admin(options);
    let results = block_on(admin.create_topics([&topic], &AdminOptions::new())).expect("CreateTopics");
    results[0].as_ref().expect("topic");
}

fn delete(options: &Options) {
    let admin = admin(options);
    let results = block_on(admin.delete_topics(&[options.text("topic")], &AdminOptions::new())).expect("DeleteTopics");
    results[0].as_ref().expect("topic");
}

fn main() {
    let mut options = Options(HashMap::from([("codec".to_string(), "none".to_string())]));
    for argument in std::env::args().skip(2) {
        let (key, value) = argument.split_once('=').expect("key=value");
        options.0.insert(key.to_string(), value.to_string());
    }
    match std::env::args().nth(1).as_deref() {
        Some("create") => create(&options),
        Some("delete") => delete(&options),
        Some("describe") => describe(&options),
        Some("offsets") => offsets(&options),
        Some("produce") => produce(&options),
        Some("consume") => consume(&options),
        other => panic!("no verb {other:?}"),
    }
}
