# The image of lowrank with Open MPI, and an SSH server of the user's own, through which the MPI operator's mpirun starts
# ranks on its workers. A session has none of the image's variables: SetEnv names those that the command needs.
FROM lowrank
USER root
RUN apt-get update \
  && apt-get install -y --no-install-recommends openmpi-bin openssh-server openssh-client \
  && rm -rf /var/lib/apt/lists/* \
  && printf '%s\n' 'Host *' '  StrictHostKeyChecking no' '  UserKnownHostsFile /dev/null' '  Port 2222' \
    '  LogLevel ERROR' > /etc/ssh/ssh_config.d/lowrank.conf \
  && printf '%s\n' 'Port 2222' 'PidFile /tmp/sshd.pid' 'StrictModes no' 'HostKey /home/lowrank/.ssh/id_rsa' \
    "SetEnv DENO_DIR=$DENO_DIR DENO_NO_UPDATE_CHECK=1 XDG_CACHE_HOME=$XDG_CACHE_HOME XDG_RUNTIME_DIR=/tmp NO_COLOR=1" \
    > /home/lowrank/.sshd_config
USER 10001
