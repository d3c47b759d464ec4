"""Conversations of Paho for Python with a broker.

Usage: scenarios.py NAME VERSION, with the broker's address in the environment.
Each scenario is a function of that name; an assertion ends it with a message.
The names that start with v5_ are of MQTT 5.0 only.
"""
import itertools
import queue
import sys

from peer import PATIENCE, PacketTypes, Peer, properties


def qos(version):
    """Each QoS, from one client to another and back."""
    a = Peer(version, 'a').connected().subscribe('to/a', 2)
    b = Peer(version, 'b').connected().subscribe('to/b', 2)
    for level in 0, 1, 2:
        a.publish('to/b', f'there {level}', level)
        b.receive('to/b', f'there {level}', level, retain=False)
        b.publish('to/a', f'back {level}', level)
        a.receive('to/a', f'back {level}', level, retain=False)


def order(version):
    """A burst at each QoS arrives complete and in order."""
    a = Peer(version, 'a').connected()
    b = Peer(version, 'b').connected().subscribe('burst/+', 2)
    for level in 0, 1, 2:
        infos = [a.paho.publish(f'burst/{level}', str(i), level) for i in range(200)]
        for i in range(200):
            b.receive(f'burst/{level}', str(i), level)
        infos[-1].wait_for_publish(PATIENCE)


def granted_qos(version):
    """A message goes out at the lower of its QoS and the subscription's."""
    a = Peer(version, 'a').connected()
    for granted in 0, 1, 2:
        b = Peer(version, f'b{granted}').connected().subscribe('data', granted)
        for level in 0, 1, 2:
            a.publish('data', str(level), level)
            b.receive('data', str(level), min(level, granted))


def unsubscribed(version):
    """After UNSUBACK no message of that filter arrives."""
    a = Peer(version, 'a').connected()
    b = Peer(version, 'b').connected().subscribe('one', 1).subscribe('two', 1)
    b.unsubscribe('one')
    a.publish('one', 'unwanted', 1)
    a.publish('two', 'wanted', 1)
    b.receive('two', 'wanted')


def retain(version):
    """A retained message reaches later subscribers, until it is cleared."""
    a = Peer(version, 'a').connected()
    live = Peer(version, 'live').connected().subscribe('state/#', 1)
    a.publish('state/x', 'first', 1, retain=True)
    a.publish('state/x', 'second', 1, retain=True)
    live.receive('state/x', 'first', 1, retain=False)
    live.receive('state/x', 'second', 1, retain=False)
    late = Peer(version, 'late').connected().subscribe('state/#', 1)
    late.receive('state/x', 'second', 1, retain=True)
    a.publish('state/x', '', 1, retain=True)
    late.receive('state/x', '', 1)
    last = Peer(version, 'last').connected().subscribe('state/#', 1)
    a.publish('state/y', 'marker', 1)
    last.receive('state/y', 'marker', 1, retain=False)


def will(version):
    """The will is published after an abrupt end and not after DISCONNECT."""
    watcher = Peer(version, 'watcher').connected().subscribe('gone/#', 1)
    polite = Peer(version, 'polite')
    polite.paho.will_set('gone/polite', 'wrong', 1)
    polite.connected().close()
    abrupt = Peer(version, 'abrupt')
    abrupt.paho.will_set('gone/abrupt', 'farewell', 1, retain=True)
    abrupt.connected().vanish()
    watcher.receive('gone/abrupt', 'farewell', 1, retain=False)
    Peer(version, 'late').connected().subscribe('gone/#', 1).receive('gone/abrupt', 'farewell', 1, retain=True)


def persistent_session(version):
    """A session outlives its connection and keeps QoS 1 and 2 messages."""
    props = properties(PacketTypes.CONNECT, SessionExpiryInterval=300) if version == '5' else None
    sleeper = Peer(version, 'sleeper', clean=False).connected(props).subscribe('kept/#', 2)
    sleeper.close()
    a = Peer(version, 'a').connected()
    for i in range(20):
        a.publish('kept/1', str(i), 1)
    for i in range(20):
        a.publish('kept/2', str(i), 2)

    awake = Peer(version, 'sleeper', clean=False)
    code, present, _ = awake.open(props)
    assert code == 0
    # The flag came with 3.1.1.
    assert version == '31' or present, 'CONNACK says there is no session'
    for i in range(20):
        awake.receive('kept/1', str(i), 1)
    for i in range(20):
        awake.receive('kept/2', str(i), 2)
    awake.close()

    code, present, _ = Peer(version, 'sleeper', clean=True).open()
    assert code == 0 and not present, 'a clean session is present'


def takeover(version):
    """A second client with the same identifier ends the first's connection."""
    first = Peer(version, 'twin').connected()
    second = Peer(version, 'twin').connected().subscribe('still', 1)
    first.disconnects.get(timeout=PATIENCE)
    second.publish('still', 'here', 1)
    second.receive('still', 'here')


def v5_properties(version):
    """What a publisher says about a message reaches the subscriber."""
    a = Peer(version, 'a').connected()
    b = Peer(version, 'b').connected().subscribe('data', 1)
    a.publish('data', '{}', 1, props=properties(
        PacketTypes.PUBLISH, PayloadFormatIndicator=1, ContentType='application/json',
        UserProperty=[('room', '1'), ('room', '2'), ('Zürich', '→')], MessageExpiryInterval=1000))
    got = b.receive('data', '{}', 1).properties
    assert got.PayloadFormatIndicator == 1
    assert got.ContentType == 'application/json'
    assert got.UserProperty == [('room', '1'), ('room', '2'), ('Zürich', '→')], got.UserProperty
    assert 0 < got.MessageExpiryInterval <= 1000


def v5_request_response(version):
    """A request names where its response goes; the response says to what it is one."""
    server = Peer(version, 'server').connected().subscribe('sum', 1)
    client = Peer(version, 'client').connected().subscribe('answers/client', 1)
    for number in range(3):
        token = bytes([0, number, 255])
        client.publish('sum', f'{number} 10', 1, props=properties(
            PacketTypes.PUBLISH, ResponseTopic='answers/client', CorrelationData=token))
        request = server.receive('sum', f'{number} 10')
        server.publish(request.properties.ResponseTopic, str(number + 10), 1, props=properties(
            PacketTypes.PUBLISH, CorrelationData=request.properties.CorrelationData))
        response = client.receive('answers/client', str(number + 10))
        assert response.properties.CorrelationData == token


def await_expiry(a, seconds):
    """Returns when the broker has let a message expire that a has just published."""
    a.publish('clock', 'tick', 1, retain=True,
              props=properties(PacketTypes.PUBLISH, MessageExpiryInterval=seconds))
    for number in itertools.count():  # names of their own: a DISCONNECT may come after the next CONNECT
        reader = Peer('5', f'reader{number}').connected().subscribe('clock', 1)
        a.publish('clock', 'marker', 1)
        message = reader.messages.get(timeout=PATIENCE)
        reader.close()
        if message.payload == b'marker':
            return


def v5_message_expiry(version):
    """A queued message expires; one that does not says how long it still has."""
    props = properties(PacketTypes.CONNECT, SessionExpiryInterval=300)
    Peer(version, 'sleeper', clean=True).connected(props).subscribe('queue', 1).close()
    a = Peer(version, 'a').connected()
    a.publish('queue', 'brief', 1, props=properties(PacketTypes.PUBLISH, MessageExpiryInterval=1))
    a.publish('queue', 'long', 1, props=properties(PacketTypes.PUBLISH, MessageExpiryInterval=100))
    a.publish('queue', 'for ever', 1)
    await_expiry(a, 2)  # a second more: how a broker rounds is its own affair
    awake = Peer(version, 'sleeper', clean=False).connected(props)
    left = awake.receive('queue', 'long').properties.MessageExpiryInterval
    assert 80 < left < 100, f'{left} s are left of 100'
    assert not hasattr(awake.receive('queue', 'for ever').properties, 'MessageExpiryInterval')


def v5_session_expiry(version):
    """A session ends with its connection, or its interval later."""
    a = Peer(version, 'a').connected()

    def present_after(interval, wait):
        Peer(version, 'guest', clean=True).connected(
            properties(PacketTypes.CONNECT, SessionExpiryInterval=interval)).subscribe('x', 1).close()
        wait()
        again = Peer(version, 'guest', clean=False)
        code, present, _ = again.open()
        assert code == 0
        again.close()
        return present

    assert not present_after(0, lambda: None), 'a session with interval 0 outlives its connection'
    assert present_after(300, lambda: None), 'a session with interval 300 s ends with its connection'
    assert not present_after(1, lambda: await_expiry(a, 3)), 'a session with interval 1 s lives on for 3 s'


def v5_subscription_options(version):
    """No Local, Retain As Published and Retain Handling do as they say."""
    from paho.mqtt.subscribeoptions import SubscribeOptions
    a = Peer(version, 'a').connected()
    a.paho.subscribe('own', options=SubscribeOptions(qos=1, noLocal=True))
    a.subacks.get(timeout=PATIENCE)
    a.subscribe('other', 1)
    a.publish('own', 'echo', 1)
    a.publish('other', 'marker', 1)
    a.receive('other', 'marker')

    a.publish('kept', 'old', 1, retain=True)
    b = Peer(version, 'b').connected()
    b.paho.subscribe('kept', options=SubscribeOptions(
        qos=1, retainAsPublished=True, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND))
    b.subacks.get(timeout=PATIENCE)
    a.publish('kept', 'new', 1, retain=True)
    b.receive('kept', 'new', 1, retain=True)


def v5_will_properties(version):
    """A will has properties, and its delay ends with the session."""
    watcher = Peer(version, 'watcher').connected().subscribe('gone', 1)
    abrupt = Peer(version, 'abrupt')
    abrupt.paho.will_set('gone', 'farewell', 1, properties=properties(
        PacketTypes.WILLMESSAGE, WillDelayInterval=600, ContentType='text/plain', UserProperty=('why', 'crash')))
    abrupt.connected().vanish()  # the session ends with the connection
    message = watcher.receive('gone', 'farewell', 1)
    assert message.properties.ContentType == 'text/plain'
    assert message.properties.UserProperty == [('why', 'crash')]


def main():
    name, version = sys.argv[1:]
    try:
        globals()[name](version)
    except queue.Empty:
        raise AssertionError(f'{name}: an answer of the broker does not come') from None
    print('done')


if __name__ == '__main__':
    main()
