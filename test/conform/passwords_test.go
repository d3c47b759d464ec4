package conform

// passwords is a file as mosquitto_passwd writes it, with the password of alice.
const passwords = "alice:$6$zrpws80wMrriWfh9$UvGfpGV6NGnVU1qAxpQj9fpFbwtYvwVpO3WZMUqoG0yHcV+P+BHjf8J8SZCSUzAZDVLZuFMzBsw/1k2pu1wEtA==\n"
