# The publisher of the well-known tutorial for Paho 1.x: what many people run
# first against a new broker. Its shape is kept; only the settings can be
# overridden from outside.
import os
import random
import time

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


def publish(client):
    msg_count = 0
    while True:
        time.sleep(1)
        msg = f'messages: {msg_count}'
        result = client.publish(topic, msg)
        # result: [0, 1]
        status = result[0]
        if status == 0:
            print(f'Send `{msg}` to topic `{topic}`')
        else:
            print(f'Failed to send message to topic {topic}')
        msg_count += 1


def run():
    client = connect_mqtt()
    client.loop_start()
    publish(client)


if __name__ == '__main__':
    run()
