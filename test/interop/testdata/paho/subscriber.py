# The subscriber of the well-known tutorial for Paho 1.x; see publisher.py.
import os
import random

from paho.mqtt import client as mqtt_client

broker = os.environ.get('MQTT_HOST', 'localhost')
port = int(os.environ.get('MQTT_PORT', '1883'))
transport = os.environ.get('MQTT_TRANSPORT', 'tcp')
path = os.environ.get('MQTT_PATH', '/mqtt')
username = os.environ.get('MQTT_USERNAME')
password = os.environ.get('MQTT_PASSWORD')
topic = 'python/mqtt'
client_id = f'python-mqtt-{random.randint(0, 1000)}'


def connect_mqtt():
    def on_connect(client, userdata, flags, rc):
        if rc == 0:
            print('Connected to MQTT Broker!')
        else:
            print('Failed to connect, return code %d\n', rc)

    if transport == 'websockets':
        client = mqtt_client.Client(client_id, transport='websockets')
        client.ws_set_options(path=path)
    else:
        client = mqtt_client.Client(client_id)
    if username is not None:
        client.username_pw_set(username, password)
    client.on_connect = on_connect
    client.connect(broker, port)
    return client


def subscribe(client):
    def on_message(client, userdata, msg):
        print(f'Received `{msg.payload.decode()}` from `{msg.topic}` topic')

    client.subscribe(topic)
    client.on_message = on_message


def run():
    client = connect_mqtt()
    subscribe(client)
    client.loop_forever()


if __name__ == '__main__':
    run()
