"""Prints the return or reason code of each of some CONNECTs, a line each.

Usage: login.py VERSION CREDENTIALS..., VERSION being 31, 311 or 5 and each of
the credentials a list in JSON: [], [USERNAME] or [USERNAME, PASSWORD].
"""
import json
import sys

import peer


def main():
    version, *attempts = sys.argv[1:]
    for number, credentials in enumerate(attempts):
        client = peer.Peer(version, f'login{number}')
        if json.loads(credentials):
            client.paho.username_pw_set(*json.loads(credentials))
        code, _, _ = client.open()
        print(f'code {code:#x}')


if __name__ == '__main__':
    main()
