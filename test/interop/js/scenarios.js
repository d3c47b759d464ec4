'use strict'
// Conversations of MQTT.js with a broker.
//
// Usage: node scenarios.js NAME VERSION, the broker's address in MQTT_URL and
// the file of its certificate authority in MQTT_CA. VERSION is 3 (MQTT 3.1),
// 4 (3.1.1) or 5. Scenarios that start with v5 are of 5.0 only.

const assert = require('node:assert/strict')
const { Peer, within } = require('./peer')

const scenarios = {
  // Each QoS, from one client to another and back.
  async qos (version) {
    const a = await (await Peer.open(version, { clientId: 'a' })).subscribe('to/a', { qos: 2 })
    const b = await (await Peer.open(version, { clientId: 'b' })).subscribe('to/b', { qos: 2 })
    for (const qos of [0, 1, 2]) {
      await a.publish('to/b', `there ${qos}`, { qos })
      await b.receive('to/b', `there ${qos}`, { qos, retain: false, dup: false })
      await b.publish('to/a', `back ${qos}`, { qos })
      await a.receive('to/a', `back ${qos}`, { qos, retain: false, dup: false })
    }
  },

  // Bursts at each QoS arrive complete and in order. MQTT.js does not mind the
  // broker's Receive Maximum, so the bursts must stay below it.
  async order (version) {
    const a = await Peer.open(version)
    const b = await (await Peer.open(version)).subscribe('burst/#', { qos: 2 })
    for (const qos of [0, 1, 2]) {
      for (let i = 0; i < 200; i += 10) {
        const burst = Array.from({ length: 10 }, (_, k) => String(i + k))
        await Promise.all(burst.map(payload => a.publish(`burst/${qos}`, payload, { qos })))
        for (const payload of burst) await b.receive(`burst/${qos}`, payload, { qos })
      }
    }
  },

  // A retained message reaches later subscribers, until it is cleared.
  async retain (version) {
    const a = await Peer.open(version)
    await a.publish('state/x', 'on', { qos: 1, retain: true })
    const b = await (await Peer.open(version)).subscribe('state/+', { qos: 1 })
    await b.receive('state/x', 'on', { qos: 1, retain: true })
    await a.publish('state/x', '', { qos: 1, retain: true })
    await b.receive('state/x', '', { qos: 1 })
    const c = await (await Peer.open(version)).subscribe('state/+', { qos: 1 })
    await a.publish('state/y', 'marker', { qos: 1 })
    await c.receive('state/y', 'marker', { retain: false })
  },

  // The will is published after an abrupt end and not after DISCONNECT.
  async will (version) {
    const watcher = await (await Peer.open(version)).subscribe('gone/#', { qos: 1 })
    const polite = await Peer.open(version, { will: { topic: 'gone/polite', payload: 'wrong', qos: 1 } })
    await polite.close()
    const abrupt = await Peer.open(version, { will: { topic: 'gone/abrupt', payload: 'farewell', qos: 1 } })
    await abrupt.vanish()
    await watcher.receive('gone/abrupt', 'farewell', { qos: 1 })
  },

  // A session outlives its connection and keeps QoS 1 and 2 messages.
  async persistentSession (version) {
    const options = { clientId: 'sleeper', clean: false }
    if (version === 5) options.properties = { sessionExpiryInterval: 300 }
    const sleeper = await (await Peer.open(version, options)).subscribe('kept/#', { qos: 2 })
    await sleeper.close()
    const a = await Peer.open(version)
    for (const qos of [1, 2]) {
      for (let i = 0; i < 10; i++) await a.publish(`kept/${qos}`, String(i), { qos })
    }
    const awake = await Peer.open(version, options)
    if (version > 3) assert.equal(awake.connack.sessionPresent, true)
    for (const qos of [1, 2]) {
      for (let i = 0; i < 10; i++) await awake.receive(`kept/${qos}`, String(i), { qos })
    }
  },

  // The client's own reconnect resumes the session and its subscriptions.
  async reconnect (version) {
    const options = { clientId: 'restless', clean: false, reconnectPeriod: 50, resubscribe: false }
    if (version === 5) options.properties = { sessionExpiryInterval: 300 }
    const restless = await (await Peer.open(version, options)).subscribe('kept', { qos: 1 })
    const again = new Promise(resolve => restless.client.once('connect', resolve))
    await restless.vanish()
    const a = await Peer.open(version)
    await a.publish('kept', 'while away', { qos: 1 })
    const connack = await within(again, 'the second CONNACK')
    assert.equal(connack.sessionPresent, true)
    await restless.receive('kept', 'while away', { qos: 1 })
  },

  // A payload of many network reads and WebSocket frames.
  async large (version) {
    const payload = 'wirebird'.repeat(64 * 1024)
    const a = await (await Peer.open(version)).subscribe('large', { qos: 2 })
    for (const qos of [0, 1, 2]) {
      await a.publish('large', payload, { qos })
      await a.receive('large', payload, { qos })
    }
  },

  // Request and response, with the properties of a message.
  async v5RequestResponse (version) {
    const server = await (await Peer.open(version)).subscribe('sum', { qos: 1 })
    const client = await (await Peer.open(version)).subscribe('answers/me', { qos: 1 })
    const correlationData = Buffer.from([0, 128, 255])
    await client.publish('sum', '1 2', {
      qos: 1,
      properties: {
        responseTopic: 'answers/me',
        correlationData,
        contentType: 'text/plain',
        userProperties: { room: ['1', '2'] }
      }
    })
    const request = (await server.receive('sum', '1 2')).properties
    assert.equal(request.contentType, 'text/plain')
    assert.deepEqual({ ...request.userProperties }, { room: ['1', '2'] })
    await server.publish(request.responseTopic, '3', {
      qos: 1, properties: { correlationData: request.correlationData }
    })
    const response = await client.receive('answers/me', '3')
    assert.deepEqual(response.properties.correlationData, correlationData)
  },

  // A subscription's identifier comes with each of its messages.
  async v5SubscriptionIdentifier (version) {
    const a = await Peer.open(version)
    await a.subscribe('data/one', { qos: 1, properties: { subscriptionIdentifier: 1 } })
    await a.subscribe('data/two', { qos: 1, properties: { subscriptionIdentifier: 200000 } })
    await a.publish('data/two', 'x', { qos: 1 })
    assert.equal((await a.receive('data/two', 'x')).properties.subscriptionIdentifier, 200000)
    await a.publish('data/one', 'y', { qos: 1 })
    assert.equal((await a.receive('data/one', 'y')).properties.subscriptionIdentifier, 1)
  },

  // A client may publish by topic alias as far as the broker allows.
  async v5TopicAlias (version) {
    const b = await (await Peer.open(version)).subscribe('a/long/topic', { qos: 1 })
    const a = await Peer.open(version, { autoUseTopicAlias: true, autoAssignTopicAlias: true })
    for (let i = 0; i < 5; i++) {
      await a.publish('a/long/topic', String(i), { qos: 1 })
      await b.receive('a/long/topic', String(i))
    }
  }
}

async function main () {
  const [name, version] = process.argv.slice(2)
  await scenarios[name](Number(version))
  console.log('done')
}

main().then(() => process.exit(0), err => {
  console.error(err)
  process.exit(1)
})
