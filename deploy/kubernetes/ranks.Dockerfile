# The image of lowrank with Open MPI, and an SSH server of the user's own, through which the MPI operator's mpirun starts
# ranks on its workers.
FROM lowrank
USER root
RUN apt-get update \
  && apt-get install -y --no-install-recommends openmpi-bin openssh-server openssh-client \
  && rm -rf /var/lib/apt/lists/* \
  && printf '%s\n' 'Host *' '  StrictHostKeyChecking no' '  UserKnownHostsFile /dev/null' '  Port 2222' \
    '  LogLevel ERROR' > /etc/ssh/ssh_config.d/lowrank.conf \
  && printf '%s\n' 'Port 2222' 'PidFile /tmp/sshd.pid' 'StrictModes no' 'HostKey /home/lowrank/.ssh/id_rsa' \
    'AcceptEnv OMPI_* LOWRANK_*' > /home/lowrank/.sshd_config
# Other memory is not read without a right that containers lack; the driver's share of it stays as it is.
ENV OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_btl_tcp_if_exclude=lo,docker0
USER 10001
