#!/bin/sh
# Makes the images of the highly available stack where no registry can be reached: the bare Debian
# (deploy/base-image.sh), and on it stand-ins for all others; and names them to compose, in .env.
#
#   sh deploy/images/build.sh
set -eu
cd "$(dirname "$0")/../.."
sh deploy/base-image.sh
for name in redis rabbitmq nginx prometheus redis-exporter; do
    echo "building kassa-$name"
    docker build -q --network host -t "kassa-$name" -f "deploy/images/$name.Dockerfile" \
        deploy/images >/dev/null
done
touch .env
for line in REDIS_IMAGE=kassa-redis RABBITMQ_IMAGE=kassa-rabbitmq NGINX_IMAGE=kassa-nginx \
    PROMETHEUS_IMAGE=kassa-prometheus REDIS_EXPORTER_IMAGE=kassa-redis-exporter \
    BUILD_NETWORK=host; do
    grep -q "^${line%%=*}=" .env || echo "$line" >>.env
done
echo 'the images are there, and .env names them: docker-compose up --build'
