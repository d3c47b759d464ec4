"""A Paho 1.x client whose callbacks become queues that a test can wait on."""
import os
import queue
import socket

from paho.mqtt import client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PATIENCE = 10  # seconds; bounds each wait
PROTOCOLS = {'31': mqtt.MQTTv31, '311': mqtt.MQTTv311, '5': mqtt.MQTTv5}


def properties(packet_type, **values):
    """Makes the properties of a packet: properties(PacketTypes.PUBLISH, ContentType='a')."""
    made = Properties(packet_type)
    for name, value in values.items():
        setattr(made, name, value)
    return made


class Peer:
    """One client. paho is the client itself, for what a test sets before open."""

    def __init__(self, version, client_id='', clean=True):
        self.version = version
        self.clean = clean
        kwargs = {}
        if version != '5':
            kwargs['clean_session'] = clean
        self.paho = mqtt.Client(client_id, protocol=PROTOCOLS[version],
                                transport=os.environ['MQTT_TRANSPORT'], **kwargs)
        if os.environ['MQTT_TRANSPORT'] == 'websockets':
            self.paho.ws_set_options(path=os.environ['MQTT_PATH'])
        self.paho.reconnect_delay_set(600, 600)  # a connection that ends stays so
        self.connacks = queue.Queue()
        self.subacks = queue.Queue()
        self.unsubacks = queue.Queue()
        self.messages = queue.Queue()
        self.disconnects = queue.Queue()
        # 5.0 calls back with one more argument, the properties.
        self.paho.on_connect = lambda client, data, flags, rc, props=None: self.connacks.put((rc, flags, props))
        self.paho.on_subscribe = lambda client, data, mid, granted, props=None: self.subacks.put(granted)
        self.paho.on_unsubscribe = lambda client, data, mid, *more: self.unsubacks.put(mid)
        self.paho.on_message = lambda client, data, message: self.messages.put(message)
        self.paho.on_disconnect = lambda client, data, rc, *more: self.disconnects.put(rc)

    def open(self, props=None):
        """Connects; returns the code, whether a session was present, and the properties."""
        kwargs = {}
        if self.version == '5':
            kwargs = {'clean_start': self.clean, 'properties': props}
        self.paho.connect(os.environ['MQTT_HOST'], int(os.environ['MQTT_PORT']), **kwargs)
        self.paho.loop_start()
        rc, flags, connack = self.connacks.get(timeout=PATIENCE)
        code = rc if isinstance(rc, int) else rc.value
        return code, bool(flags['session present']), connack

    def connected(self, props=None):
        """Connects, which must succeed, and returns the peer itself."""
        code, _, _ = self.open(props)
        assert code == 0, f'CONNACK has code {code:#x}'
        return self

    def subscribe(self, topic_filter, qos):
        """Subscribes, which must be granted at qos."""
        self.paho.subscribe(topic_filter, qos)
        granted = [code if isinstance(code, int) else code.value for code in self.subacks.get(timeout=PATIENCE)]
        assert granted == [qos], f'SUBACK for {topic_filter} at QoS {qos} has {granted}'
        return self

    def unsubscribe(self, topic_filter):
        self.paho.unsubscribe(topic_filter)
        self.unsubacks.get(timeout=PATIENCE)

    def publish(self, topic, payload, qos=0, retain=False, props=None):
        """Publishes and returns once the flow of that QoS is complete."""
        info = self.paho.publish(topic, payload, qos, retain, properties=props)
        info.wait_for_publish(PATIENCE)
        assert info.is_published(), f'PUBLISH at QoS {qos} to {topic} is not acknowledged'

    def receive(self, topic, payload, qos=None, retain=None):
        """Takes the next message, which must be the one described."""
        try:
            message = self.messages.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f'{payload!r} on {topic} does not arrive') from None
        got = (message.topic, message.payload.decode())
        assert got == (topic, payload), f'{got} arrives, want {(topic, payload)}'
        assert qos in (None, message.qos), f'{got} has QoS {message.qos}, want {qos}'
        assert retain in (None, message.retain), f'{got} has retain {message.retain}, want {retain}'
        return message

    def close(self):
        """Disconnects, and returns once the network loop has ended."""
        self.paho.disconnect()
        self.disconnects.get(timeout=PATIENCE)
        self.paho.loop_stop()

    def vanish(self):
        """Ends the connection without DISCONNECT, as a crash or a pulled cable does."""
        connection = self.paho.socket()
        getattr(connection, '_socket', connection).shutdown(socket.SHUT_RDWR)
        self.disconnects.get(timeout=PATIENCE)
