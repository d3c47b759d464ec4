'use strict'
// A client of MQTT.js whose events become promises that a test can wait on.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const mqtt = require('mqtt')

const patience = 10_000 // ms; bounds each wait

// within rejects when promise takes longer than patience.
function within (promise, what) {
  let timer
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} does not come`)), patience)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

class Peer {
  // open connects with the options of mqtt.connect.
  static async open (version, options = {}) {
    const peer = new Peer()
    peer.messages = []
    peer.waiting = []
    peer.client = mqtt.connect(process.env.MQTT_URL.replace(/^tcp:/, 'mqtt:').replace(/^tls:/, 'mqtts:'), {
      protocolVersion: version,
      protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
      reconnectPeriod: 0,
      ca: process.env.MQTT_CA ? fs.readFileSync(process.env.MQTT_CA) : undefined,
      ...options
    })
    peer.client.on('message', (topic, payload, packet) => {
      const next = peer.waiting.shift()
      next ? next(packet) : peer.messages.push(packet)
    })
    peer.closed = new Promise(resolve => peer.client.once('close', resolve))
    peer.connack = await within(new Promise((resolve, reject) => {
      peer.client.once('connect', resolve)
      peer.client.once('error', reject)
    }), 'CONNACK')
    return peer
  }

  // subscribe must be granted at the QoS asked for.
  async subscribe (filter, options) {
    const granted = await within(this.client.subscribeAsync(filter, options), 'SUBACK')
    assert.deepEqual(granted.map(g => g.qos), [options.qos])
    return this
  }

  // publish returns once the flow of that QoS is complete.
  publish (topic, payload, options = {}) {
    return within(this.client.publishAsync(topic, payload, options), 'acknowledgement')
  }

  // receive takes the next message, which must be the one described.
  async receive (topic, payload, flags = {}) {
    const packet = this.messages.shift() ??
      await within(new Promise(resolve => this.waiting.push(resolve)), `${payload} on ${topic}`)
    const got = { topic: packet.topic, payload: packet.payload.toString() }
    for (const name of Object.keys(flags)) got[name] = packet[name]
    assert.deepEqual(got, { topic, payload, ...flags })
    return packet
  }

  close () {
    return within(this.client.endAsync(), 'end')
  }

  // vanish ends the connection without DISCONNECT.
  async vanish () {
    this.client.stream.destroy()
    await within(this.closed, 'close')
  }
}

module.exports = { Peer, within }
